"""Detection of joints on a film, without torch: hands, names of joints, the frames of networks, and sites of wrists."""
