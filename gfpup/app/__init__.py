"""The page in the browser: restore photos, compare results, open finished runs. Needs the extra `app`."""
