import CLibbpf

/// Where a program is attached, or that it is run on demand.
enum Place {
  /// The cgroup root, once.
  case root
  /// Each proxy's cgroup.
  case proxy
  /// No cgroup: it sees the whole machine.
  case host
  /// An iterator or a call: run on demand, never pinned.
  case demand
}

/// A program of the object, by its function's name.
struct Hook {
  let name: String
  let place: Place
  /// What is lost where this kernel refuses the program; nil: without it nothing can be enforced, so that is
  /// an error.
  var cost: String?

  /// In the order of attaching.
  static let all: [Hook] =
    [
      "connect4", "connect6", "sendmsg4", "sendmsg6", "sock_create", "sock_ops", "egress", "ingress",
    ].map { Hook(name: $0, place: .root) }
    + [
      Hook(
        name: "sock_release", place: .root,
        cost: "what a closed UDP socket announced counts as its workload's for some seconds more")
    ]
    + [
      "bind4", "bind6", "getpeername4", "getpeername6", "getsockopt", "setsockopt",
    ].map { Hook(name: $0, place: .proxy) }
    + [
      Hook(
        name: "tcp_destroy_sock", place: .host,
        cost: "closed connections are not counted, and what they announced counts as their workload's for a minute"),
      Hook(name: "tcp_retransmit_skb", place: .host, cost: "retransmits are not counted"),
      Hook(
        name: "enrol_tcp", place: .demand,
        cost: "TCP sockets opened before their workload was known are not judged until they are opened again"),
      Hook(
        name: "enrol_udp", place: .demand,
        cost: "UDP sockets opened before their workload was known are not judged until they are opened again"),
      Hook(
        name: "forget_tcp", place: .demand,
        cost: "proxies' connections that another layout forgot lose their packets but are not reset"),
    ]
    + ["revoke_tcp_even", "revoke_tcp_odd"].map {
      Hook(
        name: $0, place: .demand,
        cost: "open connections that a new generation refuses lose their packets but are not reset")
    }
    + [
      Hook(
        name: "revoke_udp", place: .demand,
        cost: "connected UDP sockets that a new generation refuses lose their datagrams but are not told"),
      Hook(
        name: "find_refused", place: .demand,
        cost: "each change walks through all sockets of the host, also where there is nothing to end"),
      Hook(
        name: "tidy", place: .demand,
        cost: "announcements that nobody took stay and count as their workload's"),
      Hook(
        name: "forget_gone", place: .demand,
        cost: "counters of workloads and rules that are no more stay until weir detach"),
    ]

  static func at(_ place: Place) -> [Hook] { all.filter { $0.place == place } }

  /// The section name libbpf knows a cgroup attach type by (its sec_def table).
  static func section(_ type: bpf_attach_type) -> String {
    switch type {
    case BPF_CGROUP_INET4_CONNECT: "cgroup/connect4"
    case BPF_CGROUP_INET6_CONNECT: "cgroup/connect6"
    case BPF_CGROUP_UDP4_SENDMSG: "cgroup/sendmsg4"
    case BPF_CGROUP_UDP6_SENDMSG: "cgroup/sendmsg6"
    case BPF_CGROUP_UDP4_RECVMSG: "cgroup/recvmsg4"
    case BPF_CGROUP_UDP6_RECVMSG: "cgroup/recvmsg6"
    case BPF_CGROUP_INET_SOCK_CREATE: "cgroup/sock_create"
    case BPF_CGROUP_INET_SOCK_RELEASE: "cgroup/sock_release"
    case BPF_CGROUP_SOCK_OPS: "sockops"
    case BPF_CGROUP_INET_EGRESS: "cgroup_skb/egress"
    case BPF_CGROUP_INET_INGRESS: "cgroup_skb/ingress"
    case BPF_CGROUP_INET4_BIND: "cgroup/bind4"
    case BPF_CGROUP_INET6_BIND: "cgroup/bind6"
    case BPF_CGROUP_INET4_POST_BIND: "cgroup/post_bind4"
    case BPF_CGROUP_INET6_POST_BIND: "cgroup/post_bind6"
    case BPF_CGROUP_INET4_GETPEERNAME: "cgroup/getpeername4"
    case BPF_CGROUP_INET6_GETPEERNAME: "cgroup/getpeername6"
    case BPF_CGROUP_INET4_GETSOCKNAME: "cgroup/getsockname4"
    case BPF_CGROUP_INET6_GETSOCKNAME: "cgroup/getsockname6"
    case BPF_CGROUP_GETSOCKOPT: "cgroup/getsockopt"
    case BPF_CGROUP_SETSOCKOPT: "cgroup/setsockopt"
    default: "cgroup/type \(type.rawValue)"
    }
  }
}
