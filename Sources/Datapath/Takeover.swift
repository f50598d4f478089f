import CDatapath
import CLibbpf
import Glibc

/// What of another layout's maps goes on in this one: what its programs wrote, state and counters, where the shape is
/// the same. What an agent writes is written anew.
enum Takeover {
  static let anew: Set<String> = ["current", "settings", "hosts", "events", "gone"]

  /// A map of another layout that is to be this one's, too.
  struct Giver {
    let path: String

    func give(to pin: String) throws(DatapathError) {
      let map = try Descriptor.adopt(bpf_obj_get(path), "open pin", path)
      try check(bpf_obj_pin(map.raw, pin), "pin", pin)
    }
  }

  /// nil where it starts empty. `former`: whose is asked first comes first.
  static func giver(of name: String, _ shape: MapShape, _ former: [Pins]) throws(DatapathError) -> Giver? {
    guard shape.members != nil, !anew.contains(name) else { return nil }
    for pins in former {
      guard let pinned = try MapShape(pinned: name, in: pins), pinned == shape else { continue }
      return Giver(path: "\(pins.maps)/\(name)")
    }
    return nil
  }

  /// Why a map of state or counters starts empty; nil where it does not, or no other layout has it.
  static func reason(_ name: String, _ shape: MapShape, _ former: [Pins]) throws(DatapathError) -> String? {
    guard shape.members != nil, !anew.contains(name), try giver(of: name, shape, former) == nil else { return nil }
    for pins in former {
      if let pinned = try MapShape(pinned: name, in: pins) { return shape.differs(from: pinned) }
    }
    return nil
  }

  /// The layouts that enforce beside this one: the one with the newest generation first.
  static func former(_ pins: Pins) throws(DatapathError) -> [Pins] {
    var found: [(pins: Pins, generation: UInt32)] = []
    for other in pins.others() where other.hasLinks { found.append((other, try other.generation())) }
    return found.sorted { $0.generation > $1.generation }.map(\.pins)
  }
}

/// The places at which a kill leaves a start or an upgrade half-way, in their order. Tests stop there.
final class Steps {
  /// Stops at the step with this number, from 1 on.
  var stop: Int?
  private(set) var passed: [String] = []

  /// Throws as a kill ends it: nothing that was done is undone.
  func pass(_ name: String, _ session: LinkSession) throws(DatapathError) {
    passed.append(name)
    guard passed.count == stop else { return }
    session.commit()
    throw DatapathError(step: "stop at", subject: name, code: ECANCELED)
  }
}

/// What a datapath is made of: this binary's, unless a test says otherwise.
struct Build {
  var layout = UInt32(WEIR_LAYOUT)
  var image = Build.image
  var steps = Steps()

  /// The object this kernel can load. libbpf 1.1 looks for a function that the kernel lacks among its modules, which takes
  /// CAP_SYS_ADMIN, whether or not a program that calls it is wanted; so there is an object without.
  private static var image: UnsafeRawBufferPointer {
    hasSockDestroy
      ? UnsafeRawBufferPointer(start: weir_object(), count: weir_object_size())
      : UnsafeRawBufferPointer(start: weir_lesser_object(), count: weir_lesser_object_size())
  }

  static let hasSockDestroy: Bool = {
    guard let types = btf__load_vmlinux_btf() else { return true }
    defer { btf__free(types) }
    let kind: Int = BTF_KIND_FUNC
    return btf__find_by_name_kind(types, "bpf_sock_destroy", UInt32(kind)) > 0
  }()
}
