"""Write an encoder as values and arrays, and read it."""

from __future__ import annotations

from sklearn_mf._base import frozen_copy
from sklearn_mf._encoder import MatrixFactorizationEncoder
from sklearn_mf._model_files.entries import Draft, Part
from sklearn_mf._model_files.parameters import put_parameters, take_parameters, validate
from sklearn_mf._model_files.regressor import put_names, put_regressor, take_names, take_regressor
from sklearn_mf._regressor import MatrixFactorizationRegressor

_OF_OUTPUT = "_sklearn_output_config"  # what set_output stores; set_output restores it
_OUTPUTS = ["default", "pandas", "polars", None]


def put_encoder(draft: Draft, model: MatrixFactorizationEncoder) -> None:
    """Add a fitted encoder, with its regressors."""
    frozen = frozen_copy(model)
    put_parameters(draft, frozen, other=("regressor",))
    put_names(draft, frozen)
    draft.values["output"] = vars(frozen).get(_OF_OUTPUT, {}).get("transform")
    put_regressor(draft.part("fitted_regressor"), frozen.regressor_)
    if frozen.regressor is not None:
        if type(frozen.regressor) is not MatrixFactorizationRegressor:
            raise TypeError(
                f"The regressor of this encoder is a {type(frozen.regressor).__name__}. save_model writes only a "
                "MatrixFactorizationRegressor."
            )
        put_regressor(draft.part("regressor"), frozen.regressor)


def take_encoder(part: Part) -> MatrixFactorizationEncoder:
    """Return the encoder."""
    parameters = take_parameters(part, MatrixFactorizationEncoder, other=("regressor",))
    regressor = take_regressor(part.part("regressor")) if part.has("regressor") else None
    model = validate(part, MatrixFactorizationEncoder(regressor, **parameters))
    n_columns = take_names(part, model)
    output = part.choice("output", _OUTPUTS)
    if output is not None:
        model.set_output(transform=output)
    fitted = take_regressor(part.part("fitted_regressor"))
    if vars(fitted).get("n_features_in_") != n_columns:
        part.fail("fitted_regressor", f"is not fitted, or not on {n_columns} columns")
    model.regressor_ = fitted
    part.end()
    return model
