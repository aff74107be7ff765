"""Films: reading and writing DICOM files, grey levels, crops, and registration of two films.

The package knows nothing of joints, scores or screens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratui.lazy_names import import_on_demand

if TYPE_CHECKING:
    from ratui.imaging.bone_axis import BoneAxis, BoneAxisFailure, BoneSearch, find_bone_axis
    from ratui.imaging.bone_difference import BoneDifference, compare_bones
    from ratui.imaging.box_propagation import PropagatedBox, propagate_boxes
    from ratui.imaging.dicom_reader import check_header, film_from_dataset, read_film, read_header
    from ratui.imaging.dicom_writer import encode_dicom, write_film
    from ratui.imaging.display_settings import DEFAULT_DISPLAY, DisplaySettings, choose_contrast, list_presets, render
    from ratui.imaging.film import (
        MAX_SIDE,
        Contrast,
        Film,
        LookupTable,
        Pixels,
        SpacingSource,
        Window,
        compute_automatic_window,
        crop,
        film_to_grey,
        normalize_intensity,
    )
    from ratui.imaging.film_limits import MAX_FILE_BYTES, MAX_PIXELS
    from ratui.imaging.film_transfer import pack_film, unpack_film
    from ratui.imaging.geometry import Box, Matrix, fit_similarity, make_rotation
    from ratui.imaging.joint_alignment import align_centres, align_joints, compute_difference, warp_onto
    from ratui.imaging.joint_space import JointSpaceChange, joint_space_change
    from ratui.imaging.joint_space_crops import SUPPORTED_JOINTS
    from ratui.imaging.joint_width import JointSpaceWidth, joint_space_width
    from ratui.imaging.orientation import Orientation, turn_film
    from ratui.imaging.registration import (
        MIN_AGREEMENT,
        Alignment,
        AlignmentFailure,
        register_images,
        warp_to_fixed,
    )
    from ratui.imaging.stored_film import read_stored_film
else:
    __getattr__ = import_on_demand(
        __name__,
        {
            "bone_axis": "BoneAxis BoneAxisFailure BoneSearch find_bone_axis",
            "bone_difference": "BoneDifference compare_bones",
            "box_propagation": "PropagatedBox propagate_boxes",
            "dicom_reader": "check_header film_from_dataset read_film read_header",
            "dicom_writer": "encode_dicom write_film",
            "display_settings": "DEFAULT_DISPLAY DisplaySettings choose_contrast list_presets render",
            "film": "MAX_SIDE Contrast Film LookupTable Pixels SpacingSource Window compute_automatic_window crop "
            "film_to_grey normalize_intensity",
            "film_limits": "MAX_FILE_BYTES MAX_PIXELS",
            "film_transfer": "pack_film unpack_film",
            "geometry": "Box Matrix fit_similarity make_rotation",
            "joint_alignment": "align_centres align_joints compute_difference warp_onto",
            "joint_space": "JointSpaceChange joint_space_change",
            "joint_space_crops": "SUPPORTED_JOINTS",
            "joint_width": "JointSpaceWidth joint_space_width",
            "orientation": "Orientation turn_film",
            "registration": "MIN_AGREEMENT Alignment AlignmentFailure register_images warp_to_fixed",
            "stored_film": "read_stored_film",
        },
    )

__all__ = [
    "DEFAULT_DISPLAY",
    "MAX_FILE_BYTES",
    "MAX_PIXELS",
    "MAX_SIDE",
    "MIN_AGREEMENT",
    "SUPPORTED_JOINTS",
    "Alignment",
    "AlignmentFailure",
    "BoneAxis",
    "BoneAxisFailure",
    "BoneDifference",
    "BoneSearch",
    "Box",
    "Contrast",
    "DisplaySettings",
    "Film",
    "JointSpaceChange",
    "JointSpaceWidth",
    "LookupTable",
    "Matrix",
    "Orientation",
    "Pixels",
    "PropagatedBox",
    "SpacingSource",
    "Window",
    "align_centres",
    "align_joints",
    "check_header",
    "choose_contrast",
    "compare_bones",
    "compute_automatic_window",
    "compute_difference",
    "crop",
    "encode_dicom",
    "film_from_dataset",
    "film_to_grey",
    "find_bone_axis",
    "fit_similarity",
    "joint_space_change",
    "joint_space_width",
    "list_presets",
    "make_rotation",
    "normalize_intensity",
    "pack_film",
    "propagate_boxes",
    "read_film",
    "read_header",
    "read_stored_film",
    "register_images",
    "render",
    "turn_film",
    "unpack_film",
    "warp_onto",
    "warp_to_fixed",
    "write_film",
]
