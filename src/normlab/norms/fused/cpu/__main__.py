"""`python -m normlab.norms.fused.cpu`: build the kernel of this machine anew, say where it is."""

from __future__ import annotations

import sys

from normlab.norms.fused.cpu import build, loader


def main() -> int:
    """0 if the kernel was built, else 1 with the compiler's words."""
    instructions = build.instruction_set()
    path = loader.cache_folder() / build.library_name(instructions)
    path.with_suffix(".failed").unlink(missing_ok=True)
    try:
        build.build(path, instructions)
    except (build.BuildError, OSError) as error:
        sys.stderr.write(f"not built; the reference operators serve\n{error}\n")
        return 1
    sys.stdout.write(f"{instructions}: {path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
