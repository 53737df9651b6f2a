"""Child processes that read untrusted files: manifests, media, captions, clips.

In: open files of a title. Out: the same results and errors as from the functions in `media`,
`shots`, `titles` and `clips`, checked; or a `TitleError` if the child crashed or exceeded a limit.

    readers -> child_process -> (Unix sockets) -> fork_server -> a child per title and step -> tasks

`readers` has the functions that the pipeline calls. `child_process` starts and watches children,
`fork_server_handle` the fork server. `fork_server` runs in a small process that forks the children;
`tasks` lists what a child can do, `task_context` is its view of a request. `limits` and
`confinement` restrict it. `wire` defines the messages, `wire_results` and `wire_errors` the results
and errors in them. A child gets open descriptors and has no paths, network or secrets. Its messages
are untrusted and are checked, because its input may have taken it over.
"""
