// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6), .enableUpcomingFeature("ExistentialAny"), .treatAllWarnings(as: .error),
]
let strictC: [CSetting] = [.unsafeFlags(["-Wall", "-Wextra", "-Werror"])]

let package = Package(
  name: "weir",
  targets: [
    // The kernel half: the shared header and the compiled BPF object's bytes (`make bpf` compiles it first).
    .target(
      name: "CDatapath", path: "bpf", sources: ["object.c"], publicHeadersPath: "include",
      cSettings: strictC),
    // Thin C: what glibc's Swift module leaves out.
    .target(name: "CLinux", cSettings: strictC),
    .systemLibrary(name: "CLibbpf", pkgConfig: "libbpf", providers: [.apt(["libbpf-dev"])]),
    .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
    .systemLibrary(
      name: "CMicrohttpd", pkgConfig: "libmicrohttpd", providers: [.apt(["libmicrohttpd-dev"])]),
    .systemLibrary(name: "CCap", pkgConfig: "libcap", providers: [.apt(["libcap-dev"])]),
    .systemLibrary(name: "CSeccomp", pkgConfig: "libseccomp", providers: [.apt(["libseccomp-dev"])]),

    // Files to checked objects to table entries; evaluator. Pure.
    .target(name: "Policy", dependencies: ["CDatapath", "CYAML"], swiftSettings: strict),
    // Policy to what each L7 proxy is told. Pure.
    .target(name: "Proxies", dependencies: ["Policy", "CDatapath"], swiftSettings: strict),
    // Table entries to the kernel: load, attach, pin, typed maps, events. Privileged.
    .target(
      name: "Datapath", dependencies: ["CDatapath", "CLibbpf", "CLinux"], swiftSettings: strict),
    // Keeps the kernel and the proxies equal to the files; status, metrics, API.
    .target(
      name: "Agent",
      dependencies: ["Policy", "Proxies", "Datapath", "CDatapath", "CMicrohttpd", "CLinux", "CCap", "CSeccomp"],
      swiftSettings: strict),
    .executableTarget(name: "weir", dependencies: ["Agent", "Policy", "Proxies"], swiftSettings: strict),

    .testTarget(name: "PolicyTests", dependencies: ["Policy", "CDatapath"], swiftSettings: strict),
    .testTarget(name: "ProxiesTests", dependencies: ["Proxies", "Policy"], swiftSettings: strict),
    // A cgroup subtree, pins, network namespaces and processes of a test's own, all gone after it.
    .target(
      name: "Lab", dependencies: ["Datapath", "CDatapath", "CLibbpf", "CLinux"], path: "Tests/Lab",
      exclude: ["flood.py", "peer.py", "tricks.py"],
      swiftSettings: strict),
    // Lets a call of bpf(2) fail, in tests.
    .target(name: "CInterpose", path: "Tests/CInterpose", cSettings: strictC),
    .testTarget(
      name: "DatapathTests", dependencies: ["Lab", "Datapath", "CDatapath", "CInterpose", "CLinux", "CLibbpf"],
      swiftSettings: strict),
    .testTarget(
      name: "AgentTests",
      dependencies: [
        "Lab", "Agent", "Datapath", "CDatapath", "CLibbpf", "Policy", "Proxies", "CLinux", "CSeccomp", "weir",
      ],
      exclude: ["EndToEnd/traffic.py", "EndToEnd/pods.py", "EndToEnd/lose.py", "EndToEnd/confine.py"],
      swiftSettings: strict),
  ]
)
