"""Child processes that read what strangers sent: probing, decoding, captions, manifests, clips.

    readers -> children -> (Unix sockets) -> server -> a child per title and step -> tasks

`readers` has the functions that the pipeline calls; `children` starts and watches children;
`server_process` starts and ends the server; `server` is the small process that forks them; `tasks`
is what they can do; `limits` and `confinement` are what they may do; `wire` is how they speak. A
child gets open descriptors and no path, no network and no secrets. Nothing that it sends is
believed before it is checked: it is assumed to be taken over by its input.
"""
