import CLibbpf

extension Datapath {
  /// The commands of bpf(2) that a started datapath uses, for a filter of system calls. What loads programs, attaches
  /// them by other ways than links, or looks at what others loaded is not among them.
  public static var commandsAfterStart: [UInt32] {
    let commands: [bpf_cmd] = [
      // A new generation's tables, and everything that is read or counted.
      BPF_MAP_CREATE, BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM, BPF_MAP_DELETE_ELEM, BPF_MAP_GET_NEXT_KEY,
      BPF_MAP_LOOKUP_BATCH, BPF_MAP_UPDATE_BATCH, BPF_MAP_DELETE_BATCH, BPF_OBJ_GET_INFO_BY_FD,
      // Programs that are loaded already: at a new proxy's cgroup, behind a pin, over the sockets that are open.
      BPF_OBJ_GET, BPF_OBJ_PIN, BPF_LINK_CREATE, BPF_LINK_UPDATE, BPF_LINK_DETACH, BPF_ITER_CREATE,
      BPF_PROG_TEST_RUN,
    ]
    return commands.map(\.rawValue)
  }
}
