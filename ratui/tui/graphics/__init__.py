"""Films on the screen: decoded films, viewports, drawing of boxes, and writing of frames to the terminal."""
