"""falcon-edge pack."""

from falcon_edge.cli import options
from falcon_edge.cli.next_command import Given, after_packing
from falcon_edge.cli.render import manifest_table
from falcon_edge.cli.session import Debug, Json, Quiet, session
from falcon_edge.place import bundle_path


def pack(
    model: options.Model,
    output: options.Output,
    data: options.Data = None,
    class_map: options.ClassMap = None,
    metric: options.Metric = None,
    model_args: options.ModelArgs = None,
    weights: options.Weights = None,
    weights_key: options.WeightsKey = None,
    input_shape: options.Input = None,
    num_classes: options.Classes = None,
    width: options.Width = 1.0,
    mean: options.Mean = None,
    std: options.Std = None,
    seed: options.Seed = 0,
    force: options.Force = False,
    as_json: Json = False,
    debug: Debug = False,
    quiet: Quiet = False,
) -> None:
    """Make a bundle of a network as it is, uncompressed: what everything is compared with."""
    with session(as_json, debug, quiet) as out:
        from falcon_edge.steps.pack import pack_bundle as run

        choice = options.choice(
            model,
            weights,
            input_shape,
            num_classes,
            width,
            mean,
            std,
            seed,
            weights_key,
            model_args=model_args,
        )
        options.check_metric(metric, data)
        classes = options.class_map(class_map, data)
        manifest = run(choice, output, data=data, class_map=classes, metric=metric, force=force)
        out.result(manifest.model_dump(mode="json"), lambda: manifest_table(manifest))
        out.next(after_packing(bundle_path(output), Given(data, class_map, metric)))
