import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memoria.faces.crops import aligned_crop
from memoria.faces.geometry import (
    CROP_LANDMARKS,
    CROP_PX,
    NOTHING,
    Detections,
    crop_region,
    crop_transforms,
    joined,
    magnifications,
    mirrored,
    suppressed,
    turned_back,
    within,
)


def detections(*boxes: tuple[float, float, float, float], scores: list[float]) -> Detections:
    corners = np.array(boxes, np.float32)
    landmarks = np.repeat(corners[:, None, :2] + 1, 5, axis=1)
    return Detections(corners, np.array(scores, np.float32), landmarks)


def test_of_two_boxes_on_one_face_the_better_stays() -> None:
    found = detections((0, 0, 10, 10), (1, 1, 11, 11), (40, 40, 50, 50), scores=[0.6, 0.9, 0.7])
    np.testing.assert_array_equal(suppressed(found).scores, np.array([0.9, 0.7], np.float32))
    assert len(suppressed(NOTHING)) == 0


def test_lists_of_one_frame_are_joined_in_order() -> None:
    one = detections((0, 0, 1, 1), scores=[0.5])
    assert joined([one, NOTHING, one]).scores.tolist() == [0.5, 0.5]


def test_scaling_and_moving_carry_boxes_and_landmarks() -> None:
    found = detections((2, 4, 6, 12), scores=[1]).scaled(2, 3).moved(10, 20)
    np.testing.assert_array_equal(found.boxes, [[14, 32, 22, 56]])
    np.testing.assert_array_equal(found.landmarks[0, 0], [16, 35])
    assert found.sizes == pytest.approx(np.sqrt(8 * 24))


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_what_was_found_in_a_turned_frame_is_turned_back(quarters: int) -> None:
    width, height = 70, 50
    image = np.zeros((height, width), np.uint8)
    image[5:15, 20:50] = 1
    rows, columns = np.nonzero(np.rot90(image, -quarters))
    box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    back = turned_back(detections(box, scores=[1]), quarters, width, height)
    np.testing.assert_array_equal(back.boxes, [[20, 5, 50, 15]])


@given(
    scale=st.floats(0.05, 20),
    angle=st.floats(-np.pi, np.pi),
    x=st.floats(-500, 500),
    y=st.floats(-500, 500),
)
def test_any_similarity_of_the_landmarks_is_undone(
    scale: float, angle: float, x: float, y: float
) -> None:
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    landmarks = (CROP_LANDMARKS @ turn.T + [x, y]).astype(np.float32)
    transform = crop_transforms(landmarks[None])
    aligned = landmarks @ transform[0, :, :2].T + transform[0, :, 2]
    np.testing.assert_allclose(aligned, CROP_LANDMARKS, atol=0.05)
    assert magnifications(transform)[0] == pytest.approx(1 / scale, rel=1e-3)


@pytest.mark.parametrize("centre", [(150, 120), (5, 5), (299, 199), (150, 199)])
@pytest.mark.parametrize("angle", [0, 30, 180])
def test_a_crop_from_its_region_is_the_crop_from_the_whole(
    centre: tuple[int, int], angle: float
) -> None:
    image = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    image = np.asarray(cv2.GaussianBlur(image, (0, 0), 2), np.uint8)
    transform = cv2.getRotationMatrix2D(centre, angle, 1.7).astype(np.float32)
    transform[:, 2] += CROP_PX / 2 - np.array(centre, np.float32)
    box = crop_region(transform, 300, 200)
    region = image[box[1] : box[3], box[0] : box[2]]
    assert region.size < image.size
    crops = [aligned_crop(image, transform), aligned_crop(region, within(box, transform))]
    assert np.abs(crops[0].astype(int) - crops[1]).max() <= 8


def test_the_region_of_a_crop_outside_is_still_inside() -> None:
    transform = np.array([[1, 0, 5000], [0, 1, 5000]], np.float32)
    left, top, right, bottom = crop_region(transform, 300, 200)
    assert 0 <= left < right <= 300
    assert 0 <= top < bottom <= 200


def test_a_mirror_image_swaps_left_and_right_and_twice_is_nothing() -> None:
    found = detections((2, 4, 6, 12), scores=[1])
    landmarks = (CROP_LANDMARKS + 5)[None]
    found = Detections(found.boxes, found.scores, landmarks)
    seen = mirrored(found, 100)
    np.testing.assert_array_equal(seen.boxes, [[94, 4, 98, 12]])
    assert (seen.landmarks[0, [0, 3], 0] < seen.landmarks[0, [1, 4], 0]).all()
    np.testing.assert_allclose(mirrored(seen, 100).landmarks, landmarks, atol=1e-5)
