"""Answers in Crovver's words: one envelope for success, and the two shapes it really uses for errors."""

from starlette.responses import JSONResponse

NO_SUBSCRIPTION = "No active subscription found for this tenant"


class Refused(Exception):
    """A call is refused with the plain shape: ``{"success": false, "error": "text"}``."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        self.message = message
        super().__init__(message)

    def answer(self) -> JSONResponse:
        return JSONResponse({"success": False, "error": self.message}, self.status)


class RefusedWithCode(Refused):
    """A call is refused with the coded shape: ``{"success": false, "data": null, "error": {message, code}}``."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, message)
        self.code = code

    def answer(self) -> JSONResponse:
        error = {"message": self.message, "code": self.code}
        return JSONResponse({"success": False, "data": None, "error": error}, self.status)


def success(data: object, status: int = 200) -> JSONResponse:
    return JSONResponse({"success": True, "data": data}, status)
