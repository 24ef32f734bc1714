"""falcon-edge pack."""

from falcon_edge.cli import options
from falcon_edge.cli.grouping import grouped
from falcon_edge.cli.groups import Images, Source
from falcon_edge.cli.next_command import after_packing
from falcon_edge.cli.render import manifest_table
from falcon_edge.cli.session import Debug, Json, Quiet, session
from falcon_edge.place import bundle_path


@grouped
def pack(
    *,
    model: options.Model,
    output: options.Output,
    images: Images,
    source: Source,
    seed: options.Seed = 0,
    force: options.Force = False,
    as_json: Json = False,
    debug: Debug = False,
    quiet: Quiet = False,
) -> None:
    """Make a bundle of a network as it is, uncompressed: what everything is compared with."""
    with session(as_json, debug, quiet) as out:
        from falcon_edge.steps.pack import pack_bundle as run

        manifest = run(
            *(source.choice(model, seed), output),
            data=images.data,
            class_map=images.classes(),
            metric=images.metric,
            force=force,
        )
        out.result(manifest.model_dump(mode="json"), lambda: manifest_table(manifest))
        out.next(after_packing(bundle_path(output), images))
