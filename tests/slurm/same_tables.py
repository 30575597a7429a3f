"""Whether two folders hold the same CSV tables: words and whole numbers equal, other numbers within 1e-9 of their size.

    python3 same_tables.py FOLDER FOLDER
"""
import csv
import pathlib
import sys


def same(a, b):
    if a == b or a.isdigit() and b.isdigit():
        return a == b
    try:
        x, y = float(a), float(b)
    except ValueError:
        return False
    return abs(x - y) <= 1e-9 * max(abs(x), abs(y))


first, second = (pathlib.Path(folder) for folder in sys.argv[1:])
names = {path.relative_to(folder) for folder in (first, second) for path in folder.rglob("*.csv")}
if not names:
    sys.exit(f"no table in {first}")
wrong, cells = [], 0
for name in sorted(names):
    if not all((folder / name).is_file() for folder in (first, second)):
        wrong.append(f"{name} is in one folder only")
        continue
    rows = [list(csv.reader(open(folder / name, newline=""))) for folder in (first, second)]
    if [len(row) for row in rows[0]] != [len(row) for row in rows[1]]:
        wrong.append(f"{name} has another shape")
        continue
    for line, pair in enumerate(zip(*rows), 1):
        for a, b in zip(*pair):
            cells += 1
            if not same(a, b):
                wrong.append(f"{name}, line {line}: {a} and {b}")
print(f"{len(names)} tables, {cells} cells")
if wrong:
    sys.exit("\n".join(wrong[:20]))
