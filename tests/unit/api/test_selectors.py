import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellhead.api.errors import BadRequest
from wellhead.api.resources import CONFIGMAPS, NODES, PODS, SERVICES
from wellhead.api.selectors import FieldSelector, LabelSelector


@pytest.mark.parametrize(
    ("selector", "labels", "matches"),
    [
        ("", {}, True),
        ("a=b", {"a": "b"}, True),
        ("a==b", {"a": "c"}, False),
        ("a = b , c != d", {"a": "b"}, True),
        ("a!=b", {}, True),
        ("a", {"a": ""}, True),
        ("!a", {"a": ""}, False),
        ("a in (x, y),b notin (z)", {"a": "y", "b": "w"}, True),
        ("a in (x, y)", {}, False),
        ("a notin (x)", {}, True),
        ("example.com/a=b", {"example.com/a": "b"}, True),
        ("a=", {"a": ""}, True),
        ("n>4", {"n": "5"}, True),
        ("n>4", {"n": "no"}, False),
        ("n<4", {}, False),
    ],
)
def test_label_selector(selector: str, labels: dict[str, str], matches: bool) -> None:
    assert LabelSelector.parse(selector).matches(labels) is matches


@pytest.mark.parametrize("selector", ["a=b=c", "a in x", "a in (x", "=b", "a,,b", "a,", "a>x", "-a=b", "a=-"])
def test_malformed_label_selector_is_a_bad_request(selector: str) -> None:
    with pytest.raises(BadRequest):
        LabelSelector.parse(selector)


@given(
    st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["", "x", "y"])),
    st.lists(st.sampled_from(["a=x", "b!=x", "c", "!d", "a in (x,y)", "b notin (x,y)"]), unique=True),
)
def test_label_selector_survives_printing(labels: dict[str, str], terms: list[str]) -> None:
    selector = LabelSelector.parse(",".join(terms))
    assert LabelSelector.parse(str(selector)).matches(labels) is selector.matches(labels)


def test_no_selector_object_matches_nothing_and_an_empty_one_everything() -> None:
    assert not LabelSelector.from_object(None).matches({"a": "b"})
    assert LabelSelector.from_object({}).matches({})


def test_selector_object_with_expressions() -> None:
    selector = LabelSelector.from_object(
        {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "DoesNotExist"}]}
    )
    assert selector.matches({"a": "b"})
    assert not selector.matches({"a": "b", "c": ""})


def test_field_selector_of_kube_proxy() -> None:
    selector = FieldSelector.parse("spec.clusterIP!=None", SERVICES)
    assert selector.matches({"spec": {"clusterIP": "10.0.0.1"}})
    assert not selector.matches({"spec": {"clusterIP": "None"}})


def test_field_selector_reads_unset_fields() -> None:
    assert FieldSelector.parse("spec.nodeName=").matches({"spec": {}})
    assert FieldSelector.parse("spec.unschedulable=false", NODES).matches({"spec": {}})
    assert FieldSelector.parse("metadata.name=x").exact("metadata.name") == "x"


def test_field_selector_unescapes() -> None:
    assert FieldSelector.parse(r"metadata.name=a\,b\=c").exact("metadata.name") == "a,b=c"


def test_unsupported_field_is_refused_in_upstreams_words() -> None:
    with pytest.raises(BadRequest, match=r"^field label not supported: spec\.foo$"):
        FieldSelector.parse("spec.foo=x", PODS)
    with pytest.raises(BadRequest, match=r'"spec\.foo" is not a known field selector: only "metadata\.name"'):
        FieldSelector.parse("spec.foo=x", CONFIGMAPS)


def test_a_list_of_one_value_is_shown_as_a_list() -> None:
    expression = {"key": "a", "operator": "In", "values": ["b"]}
    selector = {"matchLabels": {"a": "b"}, "matchExpressions": [expression]}
    assert str(LabelSelector.from_object(selector)) == "a=b,a in (b)"
    assert str(LabelSelector.parse("a notin (b)")) == "a notin (b)"
    assert LabelSelector.parse("a=b") == LabelSelector.parse("a in (b)")
