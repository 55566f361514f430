from wellhead.api.errors import AlreadyExists, ApiError, Cause, Conflict, Forbidden, Gone, Invalid, NotFound
from wellhead.api.resources import DEPLOYMENTS, PODS, SERVICES


def test_messages_are_upstreams() -> None:
    assert NotFound.of(DEPLOYMENTS, "web").message == 'deployments.apps "web" not found'
    assert AlreadyExists.of(PODS, "a").message == 'pods "a" already exists'
    assert Conflict.of(PODS, "a").message == (
        'Operation cannot be fulfilled on pods "a": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    assert Forbidden.of(PODS, "", "no").message == "pods is forbidden: no"


def test_not_found_says_what() -> None:
    assert NotFound.of(DEPLOYMENTS, "web").status == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'deployments.apps "web" not found',
        "reason": "NotFound",
        "details": {"name": "web", "group": "apps", "kind": "deployments"},
        "code": 404,
    }


def test_invalid_lists_every_cause() -> None:
    causes = [Cause.required("spec.ports"), Cause.invalid("spec.type", "x", "why")]
    error = Invalid.for_object(SERVICES, {"metadata": {"name": "s"}}, causes)
    assert error.code == 422
    assert error.causes == causes
    assert error.message == (
        'Service "s" is invalid: [spec.ports: Required value, spec.type: Invalid value: "x": why]'
    )


def test_error_read_back_from_its_status_is_the_same() -> None:
    for error in (NotFound.of(PODS, "a"), Conflict.of(PODS, "a"), Gone.too_old(1, 2)):
        again = ApiError.from_status(error.status)
        assert type(again) is type(error)
        assert (again.status, str(again)) == (error.status, str(error))


def test_a_foreign_status_picks_a_class_by_reason_then_code() -> None:
    assert isinstance(ApiError.from_status({"reason": "Gone", "code": 410}), Gone)
    assert isinstance(ApiError.from_status({"code": 409}), Conflict)
    assert ApiError.from_status({"code": 418}).code == 418
