import CDatapath
import CLibbpf
import Glibc

/// What a start would do, found out without doing any of it.
public struct Rehearsal: Sendable, Codable, Equatable {
  public struct EmptyMap: Sendable, Codable, Equatable {
    public var name: String
    /// `has values of 160 bytes, not 152`
    public var reason: String
  }

  /// This build's.
  public var layout: UInt32
  /// Whose programs enforce now; none: nothing is attached.
  public var enforcing: [UInt32] = []
  /// In force; 0 none.
  public var generation: UInt32 = 0
  /// Maps whose entries go on.
  public var kept: [String] = []
  /// Maps of state and counters that start empty though another layout has some.
  public var empty: [EmptyMap] = []
  /// What this kernel refuses and what that costs, a sentence each.
  public var missing: [String] = []

  init(layout: UInt32) { self.layout = layout }
}

extension Datapath {
  /// Loads the programs through this kernel's verifier and compares with what is pinned; throws what a start would throw.
  /// Attaches, pins and locks nothing: an agent may be running.
  public static func rehearse(directory: String, cgroupRoot: String) throws(DatapathError) -> Rehearsal {
    try rehearse(directory: directory, cgroupRoot: cgroupRoot, Build())
  }

  static func rehearse(
    directory: String, cgroupRoot: String, _ build: Build
  ) throws(DatapathError) -> Rehearsal {
    try Privileges.check()
    try Cgroup.checkRoot(cgroupRoot, "use as cgroup root")
    try Pins.checkDirectory(directory)
    let pins = Pins(directory, layout: build.layout)
    let former = try Takeover.former(pins)
    let object = try LoadedObject.load(
      build.image, pins: nil, constants: ["root_level": try Cgroup.level(cgroupRoot)])
    var rehearsal = Rehearsal(layout: build.layout)
    rehearsal.missing = object.missing
    rehearsal.enforcing = former.map(\.number) + (pins.hasLinks ? [pins.number] : [])
    rehearsal.generation = try (former.first ?? pins).generation()
    try Attachments(object: object, pins: pins, root: cgroupRoot).checkLinks(former)
    for (name, shape) in object.shapes.sorted(by: { $0.key < $1.key }) {
      if former.isEmpty || pins.hasLinks {
        guard let pinned = try MapShape(pinned: name, in: pins) else { continue }
        try check(pinned, shape, "\(pins.maps)/\(name)")
        rehearsal.kept.append(name)
      } else if let reason = try Takeover.reason(name, shape, former) {
        rehearsal.empty.append(Rehearsal.EmptyMap(name: name, reason: reason))
      } else if try Takeover.giver(of: name, shape, former) != nil {
        rehearsal.kept.append(name)
      }
    }
    return rehearsal
  }

  /// Of the same layout: what is pinned is adopted as it is, or not at all.
  private static func check(_ pinned: MapShape, _ shape: MapShape, _ path: String) throws(DatapathError) {
    var pinned = pinned
    if pinned.members == nil { pinned.members = shape.members }
    guard let reason = pinned.differs(from: shape) else { return }
    throw DatapathError(
      step: "adopt map", subject: path, code: EINVAL, advice: "\(reason): \(LoadedObject.otherShape)")
  }
}
