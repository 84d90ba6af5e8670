"""What the engine, and the service with it, bring into memory."""

import subprocess
import sys

LIBRARIES = ("cvxcla", "cvxpy", "highspy", "pandas", "pypfopt", "scipy", "skfolio", "sklearn")
"""What tests and benchmarks compare with."""


def imported(program: str) -> set[str]:
    """Packages outside the standard library that are imported when the program ends."""
    ending = "\nimport sys\nprint(*sorted({name.split('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)))"
    run = subprocess.run([sys.executable, "-c", program + ending], capture_output=True, text=True, check=True)
    return {name for name in run.stdout.split() if not name.startswith(("_", "cython"))}


def test_the_engine_imports_nothing_heavier_than_numpy_and_its_solver():
    every = (
        "import importlib, pkgutil, app.allocation.engine as engine\n"
        "for module in pkgutil.iter_modules(engine.__path__, engine.__name__ + '.'):\n"
        "    importlib.import_module(module.name)"
    )
    assert imported(every) == {"app", "daqp", "numpy"}


def test_the_service_imports_no_library_of_the_tests():
    assert imported("import app.main, app.worker, app.cli") & set(LIBRARIES) == set()
