"""What modules are made of is compared by identity, and put back in its place."""

import pytest
import torch
from torch import nn

from captum_featinv.network.hooking.structure import Change, Structure


class Made(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.ReLU(), nn.Tanh(), nn.Sigmoid()
        self.note, self.options = "first", {"x": 1}


def test_nothing_changed() -> None:
    assert Structure([Made(), nn.ReLU()]).changes() == set()


def test_what_is_another_new_or_gone_is_told_by_its_place() -> None:
    model = Made()
    structure, relu, number = Structure([model]), model.a, id(model)
    model.a, model.new, model.note = nn.ReLU(), 1, "second"
    del model.b
    assert structure.changes() == {
        Change(number, "_modules", "a"),
        Change(number, "_modules", "b"),
        Change(number, "new"),
        Change(number, "note"),
    }
    assert structure.before_and_now(Change(number, "_modules", "a")) == (relu, model.a)
    assert structure.before_and_now(Change(number, "_modules", "b"))[1] is None
    assert structure.before_and_now(Change(number, "note")) == ("first", "second")
    assert structure.before_and_now(Change(number, "new")) == (None, 1)


def test_nothing_there_is_not_the_same_as_none_there() -> None:
    model = Made()
    model.note = None
    structure = Structure([model])
    del model.note
    model.new = None
    assert structure.changes() == {Change(id(model), "note"), Change(id(model), "new")}


def test_all_of_it_is_put_back_in_its_order() -> None:
    model = Made()
    structure, parts, attributes = Structure([model]), dict(model._modules), dict(vars(model))
    model.c = nn.ReLU()
    del model.b, model.a, model.options["x"], model.note
    model.new = model.later = nn.Identity()
    model.options["y"] = 2
    structure.undo(structure.changes())
    assert list(model._modules.items()) == list(parts.items())
    assert vars(model) == attributes
    assert model.options == {"x": 1}
    assert structure.changes() == set()


def test_what_came_later_stays_behind_what_is_put_back() -> None:
    model = Made()
    structure = Structure([model])
    del model.b
    model.new = nn.Identity()
    structure.undo([Change(id(model), "_modules", "b")])
    assert list(model._modules) == ["a", "b", "c", "new"]


def test_only_what_is_asked_for_is_put_back() -> None:
    model = Made()
    structure = Structure([model])
    model.note, model.a = "second", nn.Tanh()
    structure.undo([Change(id(model), "note")])
    assert model.note == "first"
    assert structure.changes() == {Change(id(model), "_modules", "a")}


def test_a_dictionary_that_was_exchanged_is_one_change_and_its_entries_too() -> None:
    model = Made()
    structure, options = Structure([model]), model.options
    model.options = {"x": 1, "z": 3}
    number = id(model)
    assert structure.changes() == {Change(number, "options"), Change(number, "options", "z")}
    model.options = None
    assert structure.changes() == {Change(number, "options")}
    structure.undo(structure.changes())
    assert model.options is options


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
def test_a_module_that_became_another_keeps_what_it_has_and_others_come_back() -> None:
    lazy, other = nn.LazyLinear(2), Made()
    structure = Structure([lazy, other])
    lazy(torch.ones(1, 3))
    other.note = "second"
    structure.undo(structure.changes())
    assert type(lazy) is nn.Linear
    assert lazy.weight.shape == (2, 3)
    assert other.note == "first"


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_torchscript_has_nothing_to_compare() -> None:
    model = torch.jit.trace(nn.ReLU(), torch.ones(1))
    assert Structure([model]).changes() == set()
