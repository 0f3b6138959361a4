"""The app's side of a callback: keeps what was delivered, in memory, to be looked at."""

import threading
from typing import Any

from flask import Blueprint, Response, request

PATH = "/functions/v1/ml-callback"  # where the Edge Function of a real project answers


def receiver_blueprint() -> Blueprint:
    """POST keeps a delivery, GET lists them, PUT says how to answer from now on."""
    receiver = Blueprint("receiver", __name__)
    lock = threading.Lock()
    deliveries: list[dict[str, Any]] = []
    answer = {"status": 200}

    @receiver.post(PATH)
    def receive() -> Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        delivery = {"headers": headers, "body": request.get_data(as_text=True)}
        with lock:
            deliveries.append(delivery | {"status": answer["status"]})
        return Response(status=answer["status"])

    @receiver.get(PATH)
    def listing() -> list[dict[str, Any]]:
        with lock:
            return list(deliveries)

    @receiver.put(PATH)
    def answer_with() -> dict[str, int]:
        answer["status"] = int(request.get_json()["status"])
        return answer

    return receiver
