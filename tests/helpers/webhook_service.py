"""A real HTTP server on loopback that takes alerts."""

from embeddings_service import Service

SECRET = "xoxb-7e1c"


class Webhook(Service):
    """Answers 200; `script` holds answers to give first."""

    @property
    def address(self) -> str:
        """With a secret in its path and another in its query, as such services have it."""
        return f"{self.url}/{SECRET}?token={SECRET}"

    @property
    def texts(self) -> list[str]:
        return [body["text"] for _, _, body in self.requests]

    @staticmethod
    def answer(body):
        return {"ok": True}


def keep(alert) -> None:
    """A target of one's own: `webhook_service:keep`."""
    kept.append(alert)


def refuse(alert) -> None:
    """Another, which is out of order."""
    raise TimeoutError(alert.text)


kept = []
