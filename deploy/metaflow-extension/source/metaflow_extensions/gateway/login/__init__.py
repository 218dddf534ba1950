"""What a process that talks to a stage needs: the stored login, fresh tokens, and the headers made of them.

It lives inside `metaflow_extensions` because Metaflow carries this folder, and nothing else of the wheel, into the
environments that it builds for `@conda` and `@pypi` steps. Nothing here imports Metaflow when it is loaded.
"""
