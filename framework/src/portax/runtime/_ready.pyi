from typing import Any

from portax.runtime.ready import PlainReadyCall

edition: int

class ReadyCall(PlainReadyCall): ...

def prepare(array: type, evaluating: type, state: Any, settings: Any, kinds: dict[type, Any]) -> None: ...
