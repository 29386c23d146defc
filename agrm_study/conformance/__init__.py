"""What every part of a kind must do, as checks that run on shipped parts and on users' own alike."""
