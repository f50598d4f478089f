import CLibbpf
import Datapath

extension Lab {
  /// How many programs the kernel runs for the hooks of a cgroup, those from above included.
  package static func attached(_ cgroup: String) throws -> Int {
    try [
      BPF_CGROUP_INET4_CONNECT, BPF_CGROUP_INET6_CONNECT, BPF_CGROUP_UDP4_SENDMSG, BPF_CGROUP_UDP6_SENDMSG,
      BPF_CGROUP_INET_SOCK_CREATE, BPF_CGROUP_SOCK_OPS, BPF_CGROUP_INET_EGRESS, BPF_CGROUP_INET_INGRESS,
      BPF_CGROUP_INET4_BIND, BPF_CGROUP_INET6_BIND, BPF_CGROUP_INET4_GETPEERNAME,
      BPF_CGROUP_INET6_GETPEERNAME, BPF_CGROUP_GETSOCKOPT, BPF_CGROUP_SETSOCKOPT,
    ].reduce(0) { try $0 + Inspector.effective(cgroup, $1).count }
  }
}
