/// The rules the API server has for names, labels and ports (k8s.io/apimachinery/pkg/util/validation). Each
/// function answers nil for a value that is right, and otherwise what was expected.
enum Syntax {
  /// RFC 1123 label: namespaces.
  static func dnsLabel(_ text: String) -> String? {
    isLabel(text.utf8[...], atMost: 63)
      ? nil
      : "expected a DNS label (a-z, 0-9 and '-', a letter or digit at both ends, at most 63 characters)"
  }

  /// RFC 1123 subdomain: most names.
  static func dnsSubdomain(_ text: String) -> String? {
    isSubdomain(text.utf8[...])
      ? nil
      : "expected a DNS subdomain (a-z, 0-9, '-' and '.', a letter or digit at both ends of each part, "
        + "at most 253 characters)"
  }

  /// IANA service name (RFC 6335), as container ports are called.
  static func portName(_ text: String) -> String? {
    let bytes = Array(text.utf8)
    let hyphen = UInt8(ascii: "-")
    let doubled = zip(bytes, bytes.dropFirst()).contains { $0 == hyphen && $1 == hyphen }
    let right =
      (1...15).contains(bytes.count) && bytes.allSatisfy { isLowerAlphanumeric($0) || $0 == hyphen }
      && bytes.contains { isLowerAlphanumeric($0) && !isDigit($0) } && bytes.first != hyphen
      && bytes.last != hyphen && !doubled
    return right
      ? nil
      : "expected a port name (at most 15 of a-z, 0-9 and '-', at least one letter, no '-' at an end or "
        + "twice in a row)"
  }

  /// `[prefix/]name`: label and annotation keys.
  static func labelKey(_ text: String) -> String? {
    let bytes = text.utf8[...]
    let right =
      if let slash = bytes.firstIndex(of: UInt8(ascii: "/")) {
        isSubdomain(bytes[..<slash]) && isQualifiedName(bytes[bytes.index(after: slash)...])
      } else {
        isQualifiedName(bytes)
      }
    return right
      ? nil
      : "expected a label key ([DNS-SUBDOMAIN/]NAME; NAME of letters, digits, '-', '_' and '.', a letter or "
        + "digit at both ends, at most 63 characters)"
  }

  static func labelValue(_ text: String) -> String? {
    text.isEmpty || isQualifiedName(text.utf8[...])
      ? nil
      : "expected a label value (letters, digits, '-', '_' and '.', a letter or digit at both ends, "
        + "at most 63 characters)"
  }

  /// A header's name (RFC 9110 section 5.1: a token). Names of pseudo-headers are none.
  static func headerName(_ text: String) -> String? {
    let right =
      !text.isEmpty && text.utf8.allSatisfy { isAlphanumeric($0) || "!#$%&'*+-.^_`|~".utf8.contains($0) }
    return right ? nil : "expected a header's name (letters, digits and any of !#$%&'*+-.^_`|~)"
  }

  /// A cgroup directory, relative or absolute. The root itself is refused, because it holds everybody.
  static func cgroup(_ text: String) -> String? {
    let parts = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    let named = text.hasPrefix("/") ? parts.dropFirst() : parts[...]
    let right =
      text.utf8.count < 4096
      && named.allSatisfy { part in
        !part.isEmpty && part.count <= 255 && !part.elementsEqual(".".utf8) && !part.elementsEqual("..".utf8)
          && part.allSatisfy { $0 >= 0x20 && $0 != 0x7f }
      }
    return right
      ? nil
      : "expected a cgroup below the cgroup root (`shop/web`), or from `/` on below the cgroup2 mount, "
        + "without empty, `.` or `..` parts"
  }

  /// A cgroup all of whose processes are managed: as above, or `.`, the cgroup root.
  static func subtree(_ text: String) -> String? {
    text == "." ? nil : cgroup(text).map { $0 + "; or `.`, the cgroup root itself" }
  }

  /// What systemd calls a unit that can have processes (systemd.unit(5)). A template has none, and `-.slice` is the
  /// hierarchy's root.
  static func unit(_ text: String) -> String? {
    let kinds = [".service", ".scope", ".slice", ".socket", ".mount", ".swap"]
    let stem = kinds.first { text.hasSuffix($0) }.map { text.dropLast($0.count) } ?? ""
    let right =
      text.utf8.count <= 255 && !stem.isEmpty && stem != "-" && !stem.hasSuffix("@")
      && stem.utf8.allSatisfy { isAlphanumeric($0) || ":-_.\\@".utf8.contains($0) }
    return right
      ? nil
      : "expected a systemd unit (`nginx.service`, `web@1.service`, `app.slice`) as `systemctl` prints it, "
        + "no template and not `-.slice`"
  }

  /// A Pod's uid: opaque, and a part of its cgroup's name.
  static func uid(_ text: String) -> String? {
    let bytes = text.utf8
    return (1...128).contains(bytes.count) && bytes.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
      ? nil : "expected a uid (letters, digits and '-', at most 128 characters)"
  }

  private static func isLabel(_ bytes: Substring.UTF8View, atMost limit: Int) -> Bool {
    guard let first = bytes.first, let last = bytes.last, bytes.count <= limit else { return false }
    return isLowerAlphanumeric(first) && isLowerAlphanumeric(last)
      && bytes.allSatisfy { isLowerAlphanumeric($0) || $0 == UInt8(ascii: "-") }
  }

  /// Labels with dots between them.
  private static func isSubdomain(_ bytes: Substring.UTF8View) -> Bool {
    guard bytes.count <= 253 else { return false }
    // What stands before: a dot, a hyphen, or a letter or digit.
    var former = UInt8(ascii: ".")
    for byte in bytes {
      switch byte {
      case UInt8(ascii: "."): guard isLowerAlphanumeric(former) else { return false }
      case UInt8(ascii: "-"): guard former != UInt8(ascii: ".") else { return false }
      default: guard isLowerAlphanumeric(byte) else { return false }
      }
      former = byte
    }
    return isLowerAlphanumeric(former)
  }

  private static func isQualifiedName(_ bytes: Substring.UTF8View) -> Bool {
    guard let first = bytes.first, let last = bytes.last, bytes.count <= 63 else { return false }
    return isAlphanumeric(first) && isAlphanumeric(last)
      && bytes.allSatisfy {
        isAlphanumeric($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: ".")
      }
  }

  private static func isDigit(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
  }

  private static func isLowerAlphanumeric(_ byte: UInt8) -> Bool {
    isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
  }

  private static func isAlphanumeric(_ byte: UInt8) -> Bool {
    isLowerAlphanumeric(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
  }
}
