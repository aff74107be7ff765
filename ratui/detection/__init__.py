"""Detection of joints on a film, without torch: the search for hands, the names of joints, and the frames of networks."""
