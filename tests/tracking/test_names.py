"""Class names as people write them, as keys that MLflow takes: none alike, all read back."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mlflow.utils.validation import MAX_ENTITY_KEY_LENGTH, _validate_metric_name, _validate_tag_name

from derm_ml.tracking.mlflow import open_run
from derm_ml.tracking.names import LONGEST, cut, escape, unescape, whole_name_tag, writable
from derm_ml.tracking.runs import connect

ODD = (
    "melanoma (in situ)", "naevus, blue", "Bowen & Paget", "lentigo/ephelis", 'so-called "ugly duckling"', "it's",
    "50 % pigmented", "#1", "..", ".hidden", "...", " leading", "trailing ", "two\nlines", "a\ttab", "wart \U0001f9a0",
    "黑色素瘤", "سرطان", "ne\u0301vus", "névus", "n" * 300, "(" * 120, "Nevus", "nevus", "loss", "macro", "all", "0",
    "/", "//", "a//b", "/a/", "a/../b", "a/./b", "C:\\x", "$\\alpha$", "_x28_", "_x28", "_x_", "a|b", "<b>x</b>",
    "\udcff", "{x}",
)  # fmt: skip
names = st.one_of(
    st.sampled_from(ODD),
    st.text(min_size=1, max_size=40),
    st.text("ab_x0289AF(./ :-", min_size=1, max_size=40),  # as near to the escape's own forms as can be
    st.text(st.characters(exclude_categories=()), min_size=1, max_size=300),  # lone surrogates too
)


def accepted(key):
    _validate_metric_name(key)
    _validate_tag_name(key)
    assert len(key) <= MAX_ENTITY_KEY_LENGTH == LONGEST
    assert "\n" not in key
    return key


@given(names, st.sampled_from(("", "val/recall/", "a.")))
@example("_x28(", "")
@example("a_x28_x29_", "")
def test_mlflow_takes_what_is_read_back(name, prefix):
    key = accepted(escape(prefix + name))
    tags = {whole_name_tag(key): prefix + name} if cut(key) else {}
    assert unescape(key, tags) == prefix + name


@given(names, names)
def test_no_two_names_share_a_key(one, other):
    assert (escape(one) == escape(other)) == (one == other)


@pytest.mark.parametrize(
    "name", ["val/recall/bcc", "val/recall/basal cell: nodular", "pretrain.lr", "黑色素瘤", "a_x2", "x_"]
)
def test_what_needs_no_escape_stays(name):
    assert escape(name) == name


def test_the_escape_can_be_read_by_people():
    assert escape("melanoma (in situ)") == "melanoma _x28_in situ_x29_"
    assert unescape("of another_xFFFFFF_maker") == "of another_xFFFFFF_maker"


def test_odd_names_on_a_real_store(database):
    values = {f"val/recall/{name}": number / 100 for number, name in enumerate(ODD)}
    with pytest.raises(KeyboardInterrupt), open_run('e\'s/"x" (1)', "r") as tracker:
        tracker.log_metrics(values, 1)
        tracker.set_tags({"a (b)": "lone \udcff\0", **{f"of.{name}": name for name in ODD}})
        tracker.log_params({"arm (x)": "\udcff"})
        tracker.log_text("\udcff", "odd.txt")
        raise KeyboardInterrupt
    run = connect().get_run(tracker.run_id)
    read = {unescape(key, run.data.tags): value for key, value in run.data.metrics.items()}
    assert read == values
    assert run.data.tags["a _x28_b_x29_"] == writable("lone \udcff\0") == "lone \\udcff\\x00"
    assert {writable(unescape(key, run.data.tags)) for key in run.data.tags} >= {writable(f"of.{n}") for n in ODD}
    with open_run("e", "r", resume=tracker.run_id) as again:  # an epoch that is there already is not written twice
        again.log_metrics(values, 1)
        again.log_metrics(values, 2)
    history = connect().get_metric_history(run.info.run_id, escape("val/recall/melanoma (in situ)"))
    assert [row.step for row in history] == [1, 2]
