"""Random questions: one tree, written for bifrost and for DuckDB.

DuckDB's NaN equals itself and exceeds everything; here it matches no comparison. A column that a
file lacks is NULL there. Otherwise the two texts are the same."""

import random


class Column:
    """A column to ask about: its kind, and literals (SQL text) worth comparing it with."""

    def __init__(self, name, kind, literals, duck_type):
        self.name, self.kind, self.literals, self.duck_type = name, kind, literals, duck_type


class Leaf:
    def __init__(self, column, template):
        self.column, self.template = column, template

    def ours(self):
        name = self.column.name
        if name == "target_id" and random.random() < 0.3:
            name = random.choice(["targetid", "TARGETID", "Target_ID"])
        return self.template.format(name)

    def duck(self, columns):
        """The same for a table with `columns`: folded name to name and type."""
        if self.column.name not in columns:
            return self.template.format(f"CAST(NULL AS {self.column.duck_type})")
        name, kind = columns[self.column.name]
        text = self.template.format(f'"{name}"')
        if kind in ("FLOAT", "DOUBLE") and not self.template.endswith("NULL"):
            return f'CASE WHEN isnan("{name}") THEN NULL ELSE ({text}) END'
        return f"({text})"


class Branch:
    def __init__(self, template, parts):
        self.template, self.parts = template, parts

    def ours(self):
        return self.template.format(*(p.ours() for p in self.parts))

    def duck(self, columns):
        return self.template.format(*(p.duck(columns) for p in self.parts))


def leaf(rng, columns):
    column = rng.choice(columns)
    pick = lambda: rng.choice(column.literals)
    if column.kind == "bool" and rng.random() < 0.5:
        return Leaf(column, "{}")
    shape = rng.random()
    if shape < 0.08:
        return Leaf(column, rng.choice(["{} IS NULL", "{} IS NOT NULL"]))
    if shape < 0.22:
        items = [pick() for _ in range(rng.randint(1, 6))]
        if rng.random() < 0.1:
            items.append("NULL")
        word = rng.choice(["IN", "NOT IN"])
        return Leaf(column, "{} " + f"{word} ({', '.join(items)})")
    if shape < 0.4 and column.kind != "bool":
        word = rng.choice(["BETWEEN", "BETWEEN", "NOT BETWEEN"])
        return Leaf(column, "{} " + f"{word} {pick()} AND {pick()}")
    op = rng.choice(["=", "=", "<>", "<", "<=", ">", ">=", ">", "<"])
    if rng.random() < 0.1:
        return Leaf(column, f"{pick()} {op} " + "{}")
    return Leaf(column, "{} " + f"{op} {pick()}")


def tree(rng, columns, depth):
    """A random condition."""
    if depth == 0 or rng.random() < 0.35:
        return leaf(rng, columns)
    shape = rng.random()
    if shape < 0.12:
        return Branch("NOT ({})", [tree(rng, columns, depth - 1)])
    if shape < 0.2:
        word = rng.choice(["TRUE", "NOT TRUE", "FALSE", "NOT FALSE"])
        return Branch("({}) IS " + word, [tree(rng, columns, depth - 1)])
    word = " AND " if shape < 0.7 else " OR "
    parts = [tree(rng, columns, depth - 1) for _ in range(rng.randint(2, 3))]
    return Branch(word.join(["({})"] * len(parts)), parts)


def number_texts(rng, values, kind):
    """Ways to write numbers at and around values."""
    texts = []
    for value in values:
        if kind == "int":
            near = int(value) + rng.choice([-1, 0, 0, 0, 1])
            texts += [str(near), f"{near}.5", f"{near}.0"]
            if abs(near) < 10**6:
                texts.append(f"{near}e0")
        else:
            texts += [repr(float(value)), f"{value:.2f}", f"{value:.3g}", f"{value:.4e}", str(round(value))]
    return texts


def cone(rng, positions):
    """A random cone, mostly near one of the positions."""
    if positions and rng.random() < 0.8:
        ra, dec = rng.choice(positions)
        radius = 10 ** rng.uniform(-2, 1.7)
        ra, dec = ra + rng.uniform(-1, 1) * radius, dec + rng.uniform(-1, 1) * radius
    else:
        ra, dec, radius = rng.uniform(-360, 720), rng.uniform(-90, 90), 10 ** rng.uniform(-2, 2.2)
        if rng.random() < 0.8:
            ra, dec = rng.choice([(0.0, dec), (360.0, dec), (ra, 90.0), (ra, -90.0)])
    return ra, max(-90.0, min(90.0, dec)), min(radius, 180.0)


def inside(cone, ra, dec):
    """SQL of the great-circle test, with names or numbers in degrees."""
    a, d, radius = cone
    a, d = f"radians({a!r}::DOUBLE)", f"radians({d!r}::DOUBLE)"
    x, y = f"radians({ra}::DOUBLE)", f"radians({dec}::DOUBLE)"
    across = f"sqrt(pow(cos({y})*sin({x}-{a}),2)+pow(cos({d})*sin({y})-sin({d})*cos({y})*cos({x}-{a}),2))"
    along = f"sin({d})*sin({y})+cos({d})*cos({y})*cos({x}-{a})"
    known = f"({ra}) IS NOT NULL AND ({dec}) IS NOT NULL AND isfinite(({ra})::DOUBLE) AND ({dec})::DOUBLE BETWEEN -90 AND 90"
    return f"(CASE WHEN {known} THEN degrees(atan2({across}, {along})) <= {radius!r}::DOUBLE ELSE false END)"


def seeded(seed):
    """A source of chance; also makes the spellings of names repeatable."""
    random.seed(seed)
    return random.Random(seed)
