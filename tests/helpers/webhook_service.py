"""A real HTTP server on loopback that receives alerts."""

from embeddings_service import Service

SECRET = "xoxb-7e1c"


class Webhook(Service):
    """Server that answers 200; `script` holds answers to give first."""

    @property
    def address(self) -> str:
        """Address with a secret in its path and another in its query, as of real services."""
        return f"{self.url}/{SECRET}?token={SECRET}"

    @property
    def texts(self) -> list[str]:
        return [body["text"] for _, _, body in self.requests]

    @staticmethod
    def answer(body):
        return {"ok": True}


def keep(alert) -> None:
    """Keep an alert; a custom target, `webhook_service:keep`."""
    kept.append(alert)


def refuse(alert) -> None:
    """Fail to deliver; a custom target that raises an error."""
    raise TimeoutError(alert.text)


kept = []
