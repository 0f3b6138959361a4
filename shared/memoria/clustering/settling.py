"""After joining, each face goes where it belongs likelier than not, or to nobody."""

import numpy as np
from numpy.typing import NDArray

from memoria.arrays import F32, F64, Index
from memoria.clustering.evidence import Alone, Evidence
from memoria.clustering.groups import Faces, Groups, dots, groups_of, sizes
from memoria.clustering.keys import distinct

ROUNDS = 3  # nearly all is settled after one
LIKELIER = 0.5
CLEAR = 0.9  # the weight of a face whose evidence must speak for itself,
SPEAKS = 1.5  # in nats: a bystander is clear, and about as alike to somebody as chance has it
FEW = 8  # products in one matrix cost as much as one of two rows that are picked
NOTHING = 1e-6  # the weight of a group without the only face that spoke for it


def settled(faces: Faces, group: Index, evidence: Evidence, least: int) -> Index:
    """Faces moved to the group that has more than half of their chances. (n,) -> (n,).

    The odds of a group are the evidence times its share of the faces, those of nobody the share of
    the faces that are in no group of ``least``. Shares go by weight: blurred faces left over do
    not say that strangers are about. A face is compared with the groups of its near faces, and
    with its own without itself; a clear face joins by its evidence, never by shares alone. Only
    who was grouped before speaks for a group: nothing snowballs.
    """
    n, group = len(group), group.copy()
    speaks: F32 = faces.weight * (faces.founds & (sizes(group) >= least))
    changed = np.ones(n, dtype=bool)  # groups, by number
    for _ in range(ROUNDS):
        large = sizes(group) >= least
        moving, where = _candidates(faces, group, large, changed)
        odds = _log_odds(faces, group, speaks, evidence, (moving, where))
        chance = _chances(moving, odds, float(np.log(faces.weight[~large].sum() + 1)), n)
        go = np.flatnonzero((chance > LIKELIER) & (group[moving] != where))
        go = go[np.argsort(-chance[go], kind="stable")]  # of two faces of a photo the likelier
        go = go[faces.photos.one_each(moving[go], where[go])]
        if len(go) == 0:
            break
        changed[:] = False
        changed[group[moving[go]]] = changed[where[go]] = True
        group[moving[go]] = where[go]
    return group


def _candidates(
    faces: Faces, group: Index, large: NDArray[np.bool_], changed: NDArray[np.bool_]
) -> tuple[Index, Index]:
    """Faces with the large groups that they are near to or in, for faces near a changed group.

    (n,) each face's group, (n,) whether it is large, (n,) which groups changed -> (m,), (m,) pairs
    of a face and a group, sorted.
    """
    n, itself = len(group), np.arange(len(group))
    one, other = faces.near
    face = np.concatenate([one, other, itself])
    to = np.concatenate([other, one, itself])
    face, where = np.divmod(distinct((face * n + group[to])[large[to]]), n)
    again = np.zeros(n, dtype=bool)
    again[face[changed[where]]] = True
    return face[again[face]], where[again[face]]


def _log_odds(
    faces: Faces, group: Index, speaks: F32, evidence: Evidence, pairs: tuple[Index, Index]
) -> F64:
    """Log of evidence times share, of pairs of a face and a group. (m,), (m,) -> (m,)."""
    face, where = pairs
    names, at = np.unique(where, return_inverse=True)
    number = np.full(len(group), -1)
    number[names] = np.arange(len(names))
    groups = groups_of(faces.rows, speaks, number[group], len(names))
    share: F64 = np.bincount(group, faces.weight, len(group))[where].astype(np.float64)
    product = _products(faces.rows, groups.sums, face, at)
    own = np.flatnonzero(group[face] == where)
    out = speaks[face[own]].astype(np.float64)
    others = _without(groups, evidence, at, (own, out, product))
    product[own] -= out
    share[own] -= faces.weight[face[own]]
    weight = faces.weight.astype(np.float64)
    single = evidence.alone(weight, weight**2).at(face)
    odds = evidence.together(single, others, product * weight[face])
    by_share_alone = (weight[face] >= CLEAR) & (odds < SPEAKS)
    by_share_alone[own] = False
    odds[by_share_alone] = -np.inf
    odds += np.log(np.maximum(share, NOTHING))
    return odds - faces.photos.against_faces(group, face, where)


def _without(
    groups: Groups, evidence: Evidence, at: Index, itself: tuple[Index, F64, F64]
) -> Alone:
    """The groups of pairs, where it is a face's own without the face. (m,) numbers -> (m,).

    ``itself``: the pairs of a face and its own group, what each of these faces weighs there, and
    the products of all pairs.
    """
    own, out, product = itself
    others = evidence.alone(np.maximum(groups.weight, NOTHING), groups.square).at(at)
    rest = evidence.alone(
        np.maximum(groups.weight[at[own]] - out, NOTHING),
        np.maximum(groups.square[at[own]] - 2 * out * product[own] + out**2, 0),
    )
    for column, values in zip(others, rest, strict=True):
        column[own] = values
    return others


def _products(rows: F32, sums: F32, face: Index, group: Index) -> F64:
    """Products of faces and sums: of all with all where that is less work. (m,), (m,) -> (m,)."""
    if len(rows) * len(sums) > FEW * len(face):
        return dots(rows, face, sums, group)
    products: F64 = (rows @ sums.T)[face, group].astype(np.float64)
    return products


def _chances(face: Index, odds: F64, nobody: float, faces: int) -> F64:
    """Log odds of each face's groups -> the chance of each, nobody's beside them. (m,) -> (m,)."""
    top = np.full(faces, nobody)
    np.maximum.at(top, face, odds)
    exact = np.exp(odds - top[face])
    chances: F64 = exact / (np.exp(nobody - top) + np.bincount(face, exact, faces))[face]
    return chances
