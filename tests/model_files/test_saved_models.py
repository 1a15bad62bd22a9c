"""Check that a model that was saved and loaded is the same, bit for bit, whatever it was made of."""

import copy
import importlib.metadata
import io
import os
import pickle
import stat
import threading
import warnings
import zipfile

import joblib
import numpy as np
import pandas as pd
import pytest
from helpers.changed_files import entries_of, header_of
from helpers.stored_models import (
    KINDS,
    MODELS,
    assert_same_answers,
    codes,
    encoder,
    folded_in,
    later_rows,
    learned_later,
    make_model,
    messages_of,
    popular,
    questions,
    ranker,
    ratings,
    regressor,
    state_of,
    table,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import sklearn_mf
from sklearn_mf import MatrixFactorizationRanker, MatrixFactorizationRegressor, load_model, save_model
from sklearn_mf.metrics import make_catalog_scorer, ndcg_at_k


def saved(model):
    file = io.BytesIO()
    save_model(model, file)
    return file.getvalue()


def loaded(content):
    return load_model(io.BytesIO(content))


def assert_is_as_if_unpickled(model, original):
    """A model has the same attributes, to the bit, as the original that was pickled."""
    unpickled = pickle.loads(pickle.dumps(original))
    assert vars(model).keys() == vars(unpickled).keys()
    assert state_of(model) == state_of(unpickled)


@pytest.mark.parametrize("name", MODELS)
def test_a_loaded_model_is_the_same(name):
    model, X = make_model(name)
    content = saved(model)
    again = loaded(content)
    assert_same_answers(again, model, X)
    assert_is_as_if_unpickled(again, model)
    assert saved(again) == content


def test_models_of_every_estimator_are_compared():
    estimators = {
        value for value in vars(sklearn_mf).values() if isinstance(value, type) and issubclass(value, BaseEstimator)
    }
    assert {type(make_model(name)[0]) for name in MODELS} == estimators


@pytest.mark.parametrize("make", [regressor, ranker])
def test_a_loaded_model_warns_of_weights_that_are_left_out(make):
    kinds = ("text", "int64")
    model = make(kinds, is_weighted=True)
    again, unpickled = loaded(saved(model)), pickle.loads(pickle.dumps(model))
    first, *others = [
        messages_of(lambda each=each: each.fold_in(*later_rows(kinds)[1])) for each in (model, again, unpickled)
    ]
    assert len(first) == 1
    assert "The weights of fit were" in first[0]
    assert others == [first, first]
    assert state_of(again) == state_of(model)


@pytest.mark.parametrize("make", [regressor, ranker, popular])
def test_a_loaded_model_knows_of_how_many_rows_it_has_learned(make):
    """The scorer of catalogs warns if its X has more pairs than the model has learned from."""
    model = make()
    again = loaded(saved(model))
    X = np.array(table(codes(first=2), ("int64", "int64")))
    others = [[user, item] for user in X[:5, 0] for item in range(100, 200)]
    scorer = make_catalog_scorer(ndcg_at_k, X=np.concatenate([X[:5], others]))
    found, expected = [messages_of(lambda each=each: scorer(each, X[:5], np.ones(5))) for each in (again, model)]
    assert found == expected
    known = "on 60 pairs." if make is regressor else "pairs of them at most."
    assert any("the model was fitted on" in message and known in message for message in found)


def test_a_model_that_does_not_know_its_rows():
    """As one that was fitted in batches."""
    model = regressor()
    del model._n_rows, model._mean_weight
    again = loaded(saved(model))
    assert_is_as_if_unpickled(again, model)
    assert messages_of(lambda: learned_later(again, ("int64", "int64"))) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", [regressor, ranker, encoder, popular], ids=lambda make: make.__name__)
def test_ids_of_every_kind(make, kind):
    model = make((kind, kind))
    again = loaded(saved(model))
    assert_same_answers(again, model, questions((kind, kind)))
    assert state_of(again) == state_of(model)


def test_ids_of_tables():
    numbers = codes()
    columns = {
        "categorical": pd.Categorical([f"u{k}" for k in numbers[:, 0]]),
        "string": pd.array([f"i{k}" for k in numbers[:, 1]], dtype="string"),
        "bool": numbers[:, 0] > 5,
        "int8": numbers[:, 1].astype(np.int8),
        "big-endian": numbers[:, 0].astype(">M8[25s]"),
        "fixed width": np.char.add("é", numbers[:, 1].astype(str)),
        "float32": numbers[:, 0].astype(np.float32) + np.float32(0.1),
    }
    frame = pd.DataFrame({name: values for name, values in columns.items() if name != "big-endian"})
    model = MatrixFactorizationRegressor(2, max_iter=1, random_state=0).fit(frame, ratings(numbers))
    again = loaded(saved(model))
    assert again.feature_names_in_.tolist() == list(frame)
    np.testing.assert_array_equal(again.predict(frame), model.predict(frame))
    X = np.column_stack([columns["big-endian"], columns["big-endian"] + np.timedelta64(25, "s")])
    model = MatrixFactorizationRegressor(2, max_iter=1, random_state=0).fit(X, ratings(numbers))
    assert state_of(loaded(saved(model))) == state_of(model)


kinds = st.sampled_from(sorted(KINDS))
regressors = st.fixed_dictionaries(
    {
        "rank": st.integers(0, 3),
        "loss": st.sampled_from(["squared_error", "absolute_error", "huber", "quantile", "poisson"]),
        "implicit_features": st.sampled_from(["user", "item", "both", None]),
        "handle_unknown": st.sampled_from(["ignore", "nan"]),
        "fit_bias": st.booleans(),
        "positive": st.booleans(),
        "clip": st.booleans(),
        "early_stopping": st.booleans(),
        "damping": st.sampled_from(["auto", 3, (2.0, np.float64(5)), [1, 2], np.array([1.0, 2.5])]),
        "alpha": st.floats(0, 1e300),
        "epsilon": st.floats(1e-300, 10),
        "n_iter_no_change": st.integers(1, 2**70),
        "max_iter": st.integers(1, 3),
        "random_state": st.integers(0, 2**32 - 1),
    }
)
rankers = st.fixed_dictionaries(
    {
        "rank": st.integers(1, 3),
        "alpha": st.sampled_from([0.1, np.float64(1e-3), np.float32(0.3)]),
        "damping": st.sampled_from([1.0, np.int16(2)]),
        "confidence": st.floats(0, 5),
        "keep_pairs": st.booleans(),
        "relevant": st.sampled_from([None, 3.5]),
        "random_state": st.integers(0, 2**32 - 1),
    }
)
few = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)


def check_whole_life(model, kinds, later):
    """Saved, loaded, and taught more: the same as the model that stayed in memory."""
    again = loaded(saved(model))
    assert state_of(again.get_params()) == state_of(model.get_params())
    assert_same_answers(again, model, questions(kinds))
    for learn in later:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            learn(model, kinds)
            learn(again, kinds)
        assert_same_answers(again, model, questions(kinds))
        again = loaded(saved(again))
        assert state_of(again) == state_of(model)


@few
@given(parameters=regressors, kinds=st.lists(kinds, min_size=2, max_size=4), forgets=st.booleans())
def test_regressors_of_all_parameters(parameters, kinds, forgets):
    later = [learned_later]
    if parameters["loss"] == "squared_error" and not parameters["positive"]:
        later.insert(0, folded_in)
    if forgets:
        later.append(lambda model, kinds: model.forget([KINDS[kinds[0]](k) for k in codes(first=2)[:2, 0].tolist()]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = regressor(tuple(kinds), **parameters)
    check_whole_life(model, kinds, later)


@few
@given(parameters=rankers, kinds=st.tuples(kinds, kinds), is_rated=st.booleans())
def test_rankers_of_all_parameters(parameters, kinds, is_rated):
    check_whole_life(ranker(kinds, is_rated, **parameters), kinds, [learned_later])


def test_weights_of_pairs_that_do_not_fit_a_byte():
    rng = np.random.default_rng(0)
    X, weights = np.column_stack([rng.integers(30, size=600), rng.integers(40, size=600)]), rng.random(600)
    model = MatrixFactorizationRanker(2, max_iter=1, alpha=0.1, damping=1.0, random_state=0).fit(X, None, weights)
    assert model._seen_pairs.weight_table is None
    assert state_of(loaded(saved(model))) == state_of(model)


def test_replaced_factors_are_saved():
    model = regressor()
    model.factors_ = [np.ones((len(ids), 5)) for ids in model.categories_]
    X = questions(("int64", "int64"))
    np.testing.assert_array_equal(loaded(saved(model)).predict(X), model.predict(X))
    model.biases_ = [np.full(len(ids), np.nan) for ids in model.categories_]
    with pytest.raises(ValueError, match=r"^This model: its entry 'column0.biases' has values that are not finite"):
        saved(model)


def test_a_text_of_numpy_is_saved_as_text():
    """A search over an array of choices sets such a parameter."""
    model = regressor(loss=np.str_("huber"), damping=np.str_("auto"))
    again = loaded(saved(model))
    assert (type(again.loss), again.loss, again.damping) == (str, "huber", "auto")


def test_an_encoder_keeps_its_regressor_and_output():
    frame = pd.DataFrame(table(codes(), ("text", "int64")), columns=["user", "item"])
    model = encoder().set_params(random_state=0).fit(frame, ratings(codes())).set_output(transform="pandas")
    again = loaded(saved(model))
    assert again.regressor.get_params() == model.regressor.get_params()
    pd.testing.assert_frame_equal(again.transform(frame), model.transform(frame))
    without = encoder().set_params(regressor=None).fit(frame, ratings(codes()))
    assert loaded(saved(without)).regressor is None
    model.regressor.fit(frame, ratings(codes()))
    assert state_of(loaded(saved(model))) == state_of(model)


def test_the_path_is_replaced_in_one_step(tmp_path):
    path = tmp_path / "model.npz"
    save_model(regressor(), path)
    before, model = path.read_bytes(), regressor()
    model.biases_ = [np.full(len(ids), np.inf) for ids in model.categories_]
    with pytest.raises(ValueError, match="not finite"):
        save_model(model, path)
    assert path.read_bytes() == before
    (tmp_path / "link.npz").symlink_to(path)
    save_model(ranker(), str(tmp_path / "link.npz"))
    assert (tmp_path / "link.npz").is_symlink()
    assert isinstance(load_model(path), MatrixFactorizationRanker)
    assert sorted(os.listdir(tmp_path)) == ["link.npz", "model.npz"]


@pytest.mark.skipif(os.name != "posix", reason="permissions and pipes of POSIX")
def test_a_replaced_file_keeps_its_permissions_and_a_pipe_stays(tmp_path):
    path, pipe = tmp_path / "model.npz", tmp_path / "pipe"
    save_model(regressor(), path)
    os.chmod(path, 0o600)
    save_model(ranker(), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="This is a device or a pipe"):
        save_model(regressor(), pipe)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_name_of_many_bytes(tmp_path):
    path = tmp_path / f"{'電' * 80}.npz"
    path.touch()  # the system takes such a name
    save_model(regressor(), path)
    assert isinstance(load_model(path), MatrixFactorizationRegressor)


def test_files_that_cannot_be_written_or_read(tmp_path):
    model = regressor()
    with pytest.raises(FileNotFoundError, match=r"There is no such folder.*nowhere"):
        save_model(model, tmp_path / "nowhere" / "model.npz")
    with pytest.raises(IsADirectoryError, match="Give the name of a file"):
        save_model(model, tmp_path)
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "model.npz")
    for call in (lambda file: save_model(model, file), load_model):
        with pytest.raises(TypeError, match="file must be a path or a file object that is open in mode"):
            call(5)
    with pytest.raises(TypeError, match="open in mode 'rb'"):
        load_model(io.StringIO("text"))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3)])
def test_a_pickle_is_refused_with_a_hint(compress, tmp_path):
    file = tmp_path / "model.joblib"
    joblib.dump(Ridge(), file, compress=compress)
    with pytest.raises(ValueError, match=r"model\.joblib' is not a file of save_model, .* joblib\.load"):
        load_model(file)
    with pytest.raises(ValueError, match=r"is not a file of save_model, .* joblib\.load"):
        loaded(pickle.dumps([1]))


def test_what_is_not_saved():
    with pytest.raises(NotFittedError):
        saved(MatrixFactorizationRegressor())
    with pytest.raises(TypeError, match=r"The model comes first: save_model\(model, file\)"):
        save_model("model.npz", MatrixFactorizationRanker())
    with pytest.raises(TypeError, match=r"not GridSearchCV\. Save its best_estimator_"):
        saved(GridSearchCV(Ridge(), {"alpha": [1]}, cv=2).fit(np.eye(4), np.ones(4)))
    with pytest.raises(TypeError, match="but not Pipeline"):
        saved(make_pipeline(encoder()))
    with pytest.raises(TypeError, match="but not Mine"):
        saved(type("Mine", (MatrixFactorizationRegressor,), {})().fit([[1, 2], [2, 3]], [1, 2]))
    with pytest.raises(ValueError, match=r"random_state .* is a RandomState.*set_params\(random_state=0\)"):
        saved(regressor(random_state=np.random.RandomState(0)))
    from sklearn.model_selection import KFold

    with pytest.raises(ValueError, match=r"cv .* is a KFold.*set_params\(cv=5\)"):
        saved(encoder(cv=KFold(2)))
    with pytest.raises(ValueError, match="'rank' parameter"):
        saved(regressor().set_params(rank=-1))
    with pytest.raises(ValueError, match="is a object"):
        saved(regressor().set_params(memory_map=object()))


def test_a_file_needs_no_pickle_and_is_little_endian_and_uncompressed():
    content = saved(regressor(("text", "int64")))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays = dict(file)
        assert {array.dtype.byteorder for array in arrays.values()} <= {"=", "|", "<"}
        assert arrays["column0.bytes"].tobytes().decode().count("電影") == 3
        np.testing.assert_array_equal(arrays["column1.factors"], loaded(content).item_factors_)


def test_a_model_is_saved_where_the_package_has_no_metadata(monkeypatch):
    """As in programs that PyInstaller makes."""

    def distribution(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", distribution)
    header = header_of(entries_of(saved(regressor())))
    assert header["written_by"] == f"sklearn_mf {sklearn_mf.__version__}"


def test_a_model_is_saved_while_it_learns():
    model, contents = regressor(), []
    before = copy.deepcopy(model)
    writer = threading.Thread(target=lambda: [model.partial_fit([[k, k]], [3.0]) for k in range(40)])
    writer.start()
    while writer.is_alive():
        contents.append(saved(model))
    writer.join()
    for content in contents[:20]:
        again = loaded(content)
        assert len(again.categories_[0]) >= len(before.categories_[0])
        assert np.isfinite(again.predict([[1, 1], [2, 2]])).all()
