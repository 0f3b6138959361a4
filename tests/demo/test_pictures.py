"""Photos as the demo itself reads them."""

import numpy as np
import simplejpeg

from local.demo.pictures import WHOLE_PX, frame_of

MEGAPIXELS_108 = (9_000, 12_000, 3)


def test_a_photo_of_a_phone_with_108_megapixels_is_read_for_the_page() -> None:
    """Whole, it would take more memory than a decoder has."""
    data = simplejpeg.encode_jpeg(np.zeros(MEGAPIXELS_108, np.uint8), colorsubsampling="420")
    high, wide, _ = frame_of(data).shape
    assert (WHOLE_PX <= high < 2 * WHOLE_PX, wide * 3) == (True, high * 4)
