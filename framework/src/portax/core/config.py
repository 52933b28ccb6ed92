"""The settings: one global value each, which a thread may override for the length of a ``with``.

The idea: `config` is a ``threading.local`` whose *class* attributes are the global values and whose instance
attributes are the current thread's overrides. So reading ``config.enable_x64`` is one attribute access, whoever
set it last, and a thread that overrides nothing owns nothing.

Some settings change what a traced program means. Their values together are interned as one small integer,
``config.epoch``: caches of traced programs have it in their key. Equal settings have equal epochs, in every thread
and at every time, so leaving a ``with`` finds the old entries again. Tables that depend on settings (type promotion)
are *derived* values: other modules register a function of the settings, and its result is kept beside the epoch.

Invariant: ``config.epoch`` and every derived value agree with the settings that the current thread sees. They are
computed when a setting changes, also in threads other than the one that changed it, and never when they are read.
"""

from __future__ import annotations

import itertools
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ContextDecorator
from typing import Any

from portax.core.idle_settings import IDLE
from portax.errors import ArgumentError, SettingError

__all__ = [
    "Override",
    "Setting",
    "SettingContext",
    "allow_f16_reductions",
    "array_garbage_collection_guard",
    "auto_pcast",
    "check_tracer_leaks",
    "checking_leaks",
    "config",
    "debug_infs",
    "debug_key_reuse",
    "debug_nans",
    "default_device",
    "default_matmul_precision",
    "default_prng_impl",
    "disable_jit",
    "enable_checks",
    "enable_custom_prng",
    "enable_x64",
    "explain_cache_misses",
    "jax2tf_associative_scan_reductions",
    "legacy_prng_key",
    "log_compiles",
    "make_user_context",
    "no_execution",
    "no_tracing",
    "numpy_dtype_promotion",
    "numpy_rank_promotion",
    "override",
    "remove_size_one_mesh_axis_from_type",
    "softmax_custom_jvp",
    "thread_guard",
    "threefry_partitionable",
    "transfer_guard",
    "transfer_guard_device_to_device",
    "transfer_guard_device_to_host",
    "transfer_guard_host_to_device",
]

Check = Callable[[str, Any], Any]
_MISSING: Any = object()


# What a setting may hold. Each takes the setting's name and a value from a program or from the environment.


def _bool(name: str, value: Any) -> bool:
    if value is True or value is False:
        return value
    if isinstance(value, str) and value.lower() in ("1", "true", "yes", "on", "t", "y"):
        return True
    if isinstance(value, str) and value.lower() in ("0", "false", "no", "off", "f", "n", ""):
        return False
    if (isinstance(value, int) and value in (0, 1)) or type(value).__name__ == "bool":
        return bool(value)
    raise ArgumentError(wrong=f"the setting {name} is true or false, not {value!r}", fix="Give True or False")


def _int(name: str, value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise ArgumentError(wrong=f"the setting {name} is an integer, not {value!r}", fix="Give an integer") from None


def _float(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ArgumentError(wrong=f"the setting {name} is a number, not {value!r}", fix="Give a number") from None


def _text(name: str, value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if hasattr(value, "__fspath__"):
        return os.fspath(value)
    raise ArgumentError(wrong=f"the setting {name} is a string or None, not {value!r}", fix="Give a string")


def _any(name: str, value: Any) -> Any:
    return value


def _one_of(*choices: str | None) -> Check:
    """One of the given words; an enumeration's member counts by its value or name, as JAX passes them."""

    def check(name: str, value: Any) -> Any:
        word = value
        if not isinstance(value, str) and value is not None:
            word = getattr(value, "value", None)
            if word not in choices:
                word = str(getattr(value, "name", value)).lower()
        if word not in choices:
            raise ArgumentError(
                wrong=f"the setting {name} cannot be {value!r}",
                fix="Give one of: " + ", ".join(repr(c) for c in choices),
            )
        return word

    return check


def _precision(name: str, value: Any) -> Any:
    """A precision: None, a word, or an enumeration's member, which is kept by its name in lower case."""
    if value is None:
        return None
    word = value if isinstance(value, str) else getattr(value, "name", None)
    if not isinstance(word, str):
        raise ArgumentError(
            wrong=f"the setting {name} cannot be {value!r}",
            fix="Give None, or a name such as 'default', 'high', 'highest', 'bfloat16' or 'float32'",
        )
    return word if isinstance(value, str) and value.upper() == value else word.lower()


class Setting:
    """One setting: its name, value at start, what it accepts, and whether traced programs depend on it."""

    __slots__ = ("check", "default", "doc", "name", "traced", "used")

    def __init__(self, name: str, default: Any, check: Check, traced: bool, doc: str, used: bool) -> None:
        self.name = name
        self.default = default
        self.check = check
        self.traced = traced
        self.doc = doc
        self.used = used

    def __repr__(self) -> str:
        return f"<setting {self.name}: {self.doc}>"


class Config(threading.local):
    """All settings as attributes; see the module's text for how reading stays cheap.

    Each setting may be read and updated under its own name, or with the prefix ``jax_`` or ``portax_``.

    Examples
    --------
    >>> config.update("portax_enable_x64", True)
    >>> config.enable_x64, config.jax_enable_x64
    (True, True)
    >>> config.update("enable_x64", False)
    """

    epoch: int
    enable_x64: bool
    numpy_dtype_promotion: str
    numpy_rank_promotion: str
    disable_jit: bool
    debug_nans: bool
    debug_infs: bool
    default_prng_impl: str
    default_matmul_precision: str | None
    reproducible: bool
    tune: bool
    default_device: Any
    check_tracer_leaks: bool
    enable_checks: bool
    traceback_filtering: str
    explicit_x64_dtypes: str
    guarded: bool
    undisturbed: bool
    canonical_dtypes: Any
    scalar_dtypes: Any
    promotions: Any

    def update(self, name: str, val: Any) -> None:
        """Set the global value of a setting; threads inside an override of it keep the override.

        Raises
        ------
        SettingError
            When there is no such setting.
        ArgumentError
            When the setting cannot have that value.
        """
        setting = find(name)
        value = setting.check(setting.name, val)
        _warn_of_no_effect(setting, value)
        with _lock:
            setattr(Config, setting.name, value)
            if setting.traced:
                _refresh_all()
        for changed in _listeners.get(setting.name, ()):
            changed()

    def read(self, name: str) -> Any:
        """The value of a setting, by any of its names."""
        return getattr(self, find(name).name)

    @property
    def values(self) -> dict[str, Any]:
        """All settings by their JAX names, as the current thread sees them."""
        return {f"jax_{name}": getattr(self, name) for name in SETTINGS}

    def __iter__(self) -> Iterator[Setting]:
        return iter(SETTINGS.values())


SETTINGS: dict[str, Setting] = {}
_lock = threading.RLock()
_epochs: dict[tuple[Any, ...], int] = {}
_derived: dict[str, Callable[[Mapping[str, Any]], Any]] = {}
_overriding: dict[int, dict[str, Any]] = {}
"""The attribute dictionaries of the threads that override a traced setting now."""
_traced: list[str] = []
_environment = {name: value for name, value in os.environ.items() if name.startswith("PORTAX_")}


def find(name: str) -> Setting:
    """The setting of this name, with or without a prefix."""
    bare = name.removeprefix("jax_").removeprefix("portax_")
    try:
        return SETTINGS[bare]
    except KeyError:
        close = sorted(SETTINGS, key=lambda known: (-_alike(bare, known), known))[0]
        raise SettingError(
            wrong=f"there is no setting {name!r}", fix=f"The nearest name is {close!r}; portax.config.values has all"
        ) from None


def _alike(a: str, b: str) -> float:
    """How alike two names are, by the pairs of letters they share (Dice's coefficient)."""
    pairs_a, pairs_b = ({x[i : i + 2] for i in range(len(x) - 1)} for x in (a, b))
    return 2 * len(pairs_a & pairs_b) / max(1, len(pairs_a) + len(pairs_b))


def _computed(values: Mapping[str, Any]) -> dict[str, Any]:
    """The epoch and the derived values that belong to these settings."""
    key = tuple(values[name] for name in _traced)
    return {"epoch": _epochs.setdefault(key, len(_epochs)), **{n: f(values) for n, f in _derived.items()}}


def _global_values() -> dict[str, Any]:
    members = vars(Config)
    return {name: members[name] for name in _traced}


def _refresh_all() -> None:
    """Recompute what depends on the settings, for the globals and for every thread with overrides."""
    values = _global_values()
    for name, value in _computed(values).items():
        setattr(Config, name, value)
    for mine in list(_overriding.values()):
        mine.update(_computed({**values, **{k: v for k, v in mine.items() if k in values}}))


def _refresh_thread(mine: dict[str, Any]) -> None:
    """Recompute what depends on the settings, for the thread that owns ``mine``."""
    with _lock:
        values = _global_values()
        own = {k: v for k, v in mine.items() if k in values}
        if own:
            _overriding[id(mine)] = mine
            mine.update(_computed({**values, **own}))
        else:
            _overriding.pop(id(mine), None)
            for name in ("epoch", *_derived):
                mine.pop(name, None)


def define(name: str, default: Any, check: Check, *, traced: bool, doc: str, used: bool = True) -> Setting:
    """Add a setting; it starts as the environment variable ``PORTAX_<NAME>`` says, else at ``default``.

    Parameters
    ----------
    traced : bool
        Whether a traced or compiled program depends on it, so that caches must tell its values apart.
    used : bool
        False for a setting of JAX's that means nothing here: it may be set and read back.
    """
    setting = SETTINGS[name] = Setting(name, default, check, traced, doc, used)
    given = _environment.get("PORTAX_" + name.upper())
    setattr(Config, name, default if given is None else check(name, given))
    setattr(Config, f"jax_{name}", property(lambda self: getattr(self, name), doc=doc))
    if traced:
        _traced.append(name)
    return setting


def _warn_of_no_effect(setting: Setting, value: Any) -> None:
    if not setting.used and value != setting.default:
        warnings.warn(f"The setting {setting.name} has no effect in portax; its value is kept.", stacklevel=3)


_listeners: dict[str, list[Callable[[], None]]] = {}


def listen(name: str, changed: Callable[[], None]) -> None:
    """Call ``changed`` each time the global value of a setting has been set."""
    _listeners.setdefault(name, []).append(changed)


def derive(name: str, function: Callable[[Mapping[str, Any]], Any]) -> None:
    """Keep ``config.<name>`` equal to ``function(settings)``, where it may use the traced settings only."""
    with _lock:
        _derived[name] = function
        _refresh_all()


class Override(ContextDecorator):
    """A context, and a decorator, in which the current thread sees a setting with another value."""

    __slots__ = ("_saved", "name", "traced", "value")

    def __init__(self, name: str, value: Any) -> None:
        setting = find(name)
        self.name = setting.name
        self.value = setting.check(setting.name, value)
        _warn_of_no_effect(setting, self.value)
        self.traced = setting.traced
        self._saved: list[Any] = []

    def __enter__(self) -> None:
        mine = config.__dict__
        self._saved.append(mine.get(self.name, _MISSING))
        mine[self.name] = self.value
        if self.traced:
            _refresh_thread(mine)

    def __exit__(self, *exc: object) -> None:
        mine = config.__dict__
        saved = self._saved.pop()
        if saved is _MISSING:
            mine.pop(self.name, None)
        else:
            mine[self.name] = saved
        if self.traced:
            _refresh_thread(mine)


def override(name: str, value: Any) -> Override:
    """A context in which the current thread sees the setting ``name`` as ``value``."""
    return Override(name, value)


class SettingContext:
    """A setting as a function that overrides it: ``with enable_x64(True): ...``.

    ``enable_x64.value`` reads it.
    """

    def __init__(self, name: str, *, keyword: str = "new_val", when_omitted: Any = _MISSING) -> None:
        self.__name__ = name
        self.__doc__ = find(name).doc
        self._keyword = keyword
        self._when_omitted = when_omitted

    @property
    def value(self) -> Any:
        return getattr(config, self.__name__)

    def __call__(self, *args: Any, **keywords: Any) -> Override:
        given = [*args, *(keywords.pop(k) for k in (self._keyword, "new_val") if k in keywords)]
        if keywords or len(given) > 1 or (not given and self._when_omitted is _MISSING):
            raise ArgumentError(
                wrong=f"{self.__name__} takes one value, not {len(given) + len(keywords)}",
                fix=f"Write: with {self.__name__}(value): ...",
            )
        return Override(self.__name__, given[0] if given else self._when_omitted)

    def __repr__(self) -> str:
        return f"<setting {self.__name__} = {self.value!r}>"


config = Config()

_guard = _one_of(None, "allow", "log", "disallow", "log_explicit", "disallow_explicit")

for _name, _default, _check, _doc in (
    ("enable_x64", False, _bool, "64-bit dtypes exist; without it float64 becomes float32, and so on."),
    ("explicit_x64_dtypes", "warn", _one_of("allow", "warn", "error"), "A 64-bit dtype asked for without x64."),
    ("numpy_dtype_promotion", "standard", _one_of("standard", "strict"), "Whether dtypes mix implicitly."),
    ("numpy_rank_promotion", "allow", _one_of("allow", "warn", "raise"), "Whether ranks mix implicitly."),
    ("disable_jit", False, _bool, "Run jitted functions one operation at a time, for debugging."),
    ("debug_nans", False, _bool, "Raise where a NaN is made."),
    ("debug_infs", False, _bool, "Raise where an infinity is made."),
    ("check_tracer_leaks", False, _bool, "Raise when a traced value outlives its trace."),
    ("enable_checks", False, _bool, "Check jaxprs between transformations."),
    ("default_prng_impl", "threefry2x32", _one_of("threefry2x32", "rbg", "unsafe_rbg"), "The generator of new keys."),
    ("enable_custom_prng", False, _bool, "Make typed keys where raw ones are the default."),
    ("legacy_prng_key", "allow", _one_of("allow", "warn", "error"), "Raw uint32 keys where typed ones are meant."),
    ("random_seed_offset", 0, _int, "Added to every seed."),
    ("high_dynamic_range_gumbel", False, _bool, "Gumbel samples from two uniforms, with a longer tail."),
    ("default_matmul_precision", None, _precision, "Precision of products where none is given."),
    (
        "reproducible",
        True,
        _bool,
        "Devices of kernels give equal bits; without it libraries of their makers may compute products.",
    ),
    ("tune", False, _bool, "Time a few kernels for large products where none was timed yet, in a second each, once."),
    ("default_device", None, _any, "The device of new arrays; None is the first of the first backend."),
    ("no_execution", False, _bool, "Raise when a program runs."),
    ("profiling", False, _bool, "Note when operations and programs run; portax.profiler turns it on."),
    ("transfer_guard", None, _guard, "What implicit transfers do, in all directions."),
    ("transfer_guard_host_to_device", None, _guard, "What implicit transfers from the host do."),
    ("transfer_guard_device_to_host", None, _guard, "What implicit transfers to the host do."),
    ("transfer_guard_device_to_device", None, _guard, "What implicit transfers between devices do."),
    ("check_static_indices", False, _bool, "Raise when a constant index is out of range."),
):
    define(_name, _default, _check, traced=True, doc=_doc)

_GUARDS = [n for n in SETTINGS if n.startswith(("debug_", "no_execution", "profiling", "transfer_guard"))]


def _guarded(settings: Mapping[str, Any]) -> bool:
    return any(settings[name] not in (None, False, "allow") for name in _GUARDS)


# Whether anything is watched or forbidden while programs run; and whether nothing is, nor a default device set, which
# is what most eager operations want to know.
derive("guarded", _guarded)
derive("undisturbed", lambda settings: settings["default_device"] is None and not _guarded(settings))

for _name, _default, _check, _doc in (
    (
        "traceback_filtering",
        "auto",
        _one_of("auto", "off", "tracebackhide", "remove_frames", "quiet_remove_frames"),
        "Whether tracebacks lack portax's own frames: all words but 'off' say so, the quiet one leaves no note.",
    ),
    ("no_tracing", False, _bool, "Raise when a function is traced."),
    ("log_compiles", False, _bool, "Log every compilation."),
    ("explain_cache_misses", False, _bool, "Log why a function was traced again."),
    ("platforms", None, _text, "The backends to use, separated by commas; the first is the default."),
    ("platform_name", None, _text, "The default backend, by its older name."),
    ("num_cpu_devices", -1, _int, "How many devices the host's processor is shown as; -1 leaves it to the backend."),
    ("enable_compilation_cache", True, _bool, "Keep compiled programs on disk."),
    ("compilation_cache_dir", None, _text, "Where compiled programs are kept; None is the user's cache directory."),
    ("compilation_cache_max_size", -1, _int, "Bytes that compiled programs may take on disk; -1 for no bound."),
    ("persistent_cache_min_compile_time_secs", 0.0, _float, "Seconds of compiling below which nothing is kept."),
    ("persistent_cache_min_entry_size_bytes", 0, _int, "Bytes below which a compiled program is not kept."),
    ("raise_persistent_cache_errors", False, _bool, "Raise when the cache on disk fails, instead of compiling."),
    ("captured_constants_warn_bytes", 2_000_000_000, _int, "Bytes of constants in a program at which to warn."),
):
    define(_name, _default, _check, traced=False, doc=_doc)

for _name, _default in IDLE.items():
    define(_name, _default, _any, traced=False, doc="Kept for programs that set it; no effect in portax.", used=False)

with _lock:
    _refresh_all()

enable_x64 = SettingContext("enable_x64", when_omitted=True)
disable_jit = SettingContext("disable_jit", keyword="disable", when_omitted=True)
numpy_dtype_promotion = SettingContext("numpy_dtype_promotion")
numpy_rank_promotion = SettingContext("numpy_rank_promotion")
debug_nans = SettingContext("debug_nans", when_omitted=True)
debug_infs = SettingContext("debug_infs", when_omitted=True)
debug_key_reuse = SettingContext("debug_key_reuse", when_omitted=True)
checking_leaks = check_tracer_leaks = SettingContext("check_tracer_leaks", when_omitted=True)
default_prng_impl = SettingContext("default_prng_impl")
default_matmul_precision = SettingContext("default_matmul_precision")
default_device = SettingContext("default_device")
legacy_prng_key = SettingContext("legacy_prng_key")
threefry_partitionable = SettingContext("threefry_partitionable", when_omitted=True)
log_compiles = SettingContext("log_compiles", when_omitted=True)
explain_cache_misses = SettingContext("explain_cache_misses", when_omitted=True)
no_tracing = SettingContext("no_tracing", when_omitted=True)
no_execution = SettingContext("no_execution", when_omitted=True)
transfer_guard = SettingContext("transfer_guard")
transfer_guard_host_to_device = SettingContext("transfer_guard_host_to_device")
transfer_guard_device_to_host = SettingContext("transfer_guard_device_to_host")
transfer_guard_device_to_device = SettingContext("transfer_guard_device_to_device")
enable_checks = SettingContext("enable_checks", when_omitted=True)
enable_custom_prng = SettingContext("enable_custom_prng", when_omitted=True)
allow_f16_reductions = SettingContext("allow_f16_reductions", when_omitted=True)
array_garbage_collection_guard = SettingContext("array_garbage_collection_guard")
auto_pcast = SettingContext("auto_pcast", when_omitted=True)
jax2tf_associative_scan_reductions = SettingContext("jax2tf_associative_scan_reductions", when_omitted=True)
remove_size_one_mesh_axis_from_type = SettingContext("remove_size_one_mesh_axis_from_type", when_omitted=True)
softmax_custom_jvp = SettingContext("softmax_custom_jvp", when_omitted=True)
thread_guard = SettingContext("thread_guard", when_omitted=True)

_contexts = itertools.count()


def _hashable(name: str, value: Any) -> Any:
    try:
        hash(value)
    except TypeError:
        raise ArgumentError(
            wrong=f"the {name} was given {value!r}, which cannot be hashed, so programs cannot be told apart by it",
            fix="Give a number, a string or a tuple",
        ) from None
    return value


def make_user_context(default_value: Any = None) -> SettingContext:
    """A value of the user's own that traced programs depend on: under another value a function is staged again.

    Parameters
    ----------
    default_value : hashable

    Returns
    -------
    SettingContext
        ``with context(value): ...`` sets it for the block and the thread; ``context.value`` reads it.

    Examples
    --------
    >>> import portax
    >>> scale = portax.make_user_context(2)
    >>> f = portax.jit(lambda x: scale.value * x)
    >>> float(f(3.0))
    6.0
    >>> with scale(10):
    ...     float(f(3.0))
    30.0
    """
    name = f"user_context_{next(_contexts)}"
    default_value = _hashable(name, default_value)
    define(name, default_value, _hashable, traced=True, doc="A value of the user's that programs depend on.")
    with _lock:
        _refresh_all()
    return SettingContext(name)


#: The mesh that PartitionSpecs speak of, as the part of it that programs depend on; ``runtime.meshes`` keeps it. It
#: is made here and not there, for one that came later would make all programs be staged again.
mesh_context = make_user_context()
