"""EXIF's orientations, told apart from the library's own table."""

from PIL.Image import Transpose

STORED = {  # orientation -> how the pixels of an upright photo lie in the file
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_90,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_270,
}
