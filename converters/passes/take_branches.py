"""Branches (If) of which it is known which one is taken: exporters write one where a shape was not known to them."""

from collections.abc import Iterable, Iterator, Sequence

from onnx import GraphProto, ModelProto, NodeProto, helper

from converters.onnx_graph import ONNX_DOMAINS, OnnxGraph, attributes, rename_values, subgraphs


def take_branches(model: ModelProto) -> bool:
    """Put the branch that is taken in the place of every If whose condition is constant; changed in place.

    Values of the branch whose names are taken get longer ones. Whether there was such an If.
    """
    constants = OnnxGraph(model).constants
    nodes, found = [*model.graph.node], False
    for node in [*nodes]:
        if node.op_type == "If" and node.domain in ONNX_DOMAINS and node.input[0] in constants:
            place = next(place for place, each in enumerate(nodes) if each is node)
            del nodes[place]
            nodes[place:place] = _taken(model.graph, nodes, node, bool(constants[node.input[0]].flatten()[0]))
            found = True
    if found:
        del model.graph.node[:]
        model.graph.node.extend(nodes)
    return found


def _taken(graph: GraphProto, others: Sequence[NodeProto], node: NodeProto, condition: bool) -> list[NodeProto]:
    """The nodes of the branch of a node, which make its results; constants of the branch become the graph's."""
    branch = attributes(node)["then_branch" if condition else "else_branch"]
    made = {*_made(branch.node)}
    results, passed = dict[str, str](), list[NodeProto]()
    for value, result in zip(branch.output, node.output, strict=True):
        if result and value.name in made and value.name not in results:
            results[value.name] = result
        elif result:
            passed.append(helper.make_node("Identity", [value.name], [result]))
    taken = {value.name for value in (*graph.input, *graph.initializer)} | {*_made(others)} | {*node.output}
    own = made | {tensor.name for tensor in branch.initializer}
    names = _free(own - results.keys(), taken) | results
    rename_values(branch, names)
    for each in passed:
        each.input[0] = names.get(each.input[0], each.input[0])
    graph.initializer.extend(branch.initializer)
    return [*branch.node, *passed]


def _free(names: set[str], taken: set[str]) -> dict[str, str]:
    """Longer names for those that are taken."""
    found = {}
    for name in sorted(names & taken - {""}):
        found[name] = f"{name}.taken"
        while found[name] in {*taken, *names, *(other for key, other in found.items() if key != name)}:
            found[name] += ".taken"
    return found


def _made(nodes: Iterable[NodeProto]) -> Iterator[str]:
    """The names of all values that nodes make, and that are made or kept within them."""
    for node in nodes:
        yield from node.output
        for inner in subgraphs(node):
            yield from (value.name for value in (*inner.input, *inner.initializer))
            yield from _made(inner.node)
