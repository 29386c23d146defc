"""Entry point of a child process of `killable.KillablePool`."""

import sys

from agrm_study.training.data.decoding import killable

if __name__ == "__main__":
    import cv2

    cv2.setNumThreads(1)
    killable.serve(int(sys.argv[1]), int(sys.argv[2]))
