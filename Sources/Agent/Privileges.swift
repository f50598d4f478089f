import CCap

/// The capabilities without which nothing can be loaded or attached.
enum Privileges {
  static let needed = "needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON; run as root"

  /// Whether the effective set of this process holds all three.
  static func held() -> Bool {
    guard let set = cap_get_proc() else { return false }
    defer { _ = cap_free(UnsafeMutableRawPointer(set)) }
    return [CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON].allSatisfy { capability in
      var value = CAP_CLEAR
      return cap_get_flag(set, cap_value_t(capability), CAP_EFFECTIVE, &value) == 0 && value == CAP_SET
    }
  }
}
