"""Forms: what can stand in a convolution's place, one file a form."""

from falcon_edge.errors import BadInput
from falcon_edge.falcon.forms.dsconv import DSConv
from falcon_edge.falcon.forms.falcon import Falcon
from falcon_edge.falcon.forms.form import Form
from falcon_edge.falcon.forms.lowrank import LowRankIn, LowRankOut
from falcon_edge.falcon.forms.spatial import Spatial
from falcon_edge.falcon.forms.tucker2 import Tucker2

KEEP = "keep"  # of a convolution that stays as it is
FORMS: dict[str, Form] = {
    form.name: form for form in (Falcon(), DSConv(), Tucker2(), LowRankIn(), LowRankOut(), Spatial())
}
FALCON = FORMS["falcon"]


def form_named(name: str) -> Form:
    """The form of a name. Raises BadInput for one that there is not."""
    if name not in FORMS:
        raise BadInput(f"{name}: no form of this name; there are {', '.join(FORMS)}")
    return FORMS[name]
