import CLinux
import Datapath
import Glibc

/// Everything that can be known to be wrong before anything is touched, in the order in which a person would
/// fix it.
enum Preflight {
  /// The configuration with absolute paths, and the cgroups of this machine.
  static func check(_ given: Configuration) throws(Failure) -> (Configuration, CgroupTree) {
    // First, so that what is not readable without the rest is found here and not at the first change.
    Privileges.bound(to: Privileges.kept(enteringNamespaces: given.enterNamespaces))
    // CAP_SYS_ADMIN, where it is given, until the programs are attached: a start that fails half-way puts the former ones
    // back, and the kernel gives a program by its id (bpf_prog_get_fd_by_id) to nobody else.
    try Privileges.keep(Privileges.needed + Privileges.entering)
    var configuration = given
    configuration.policies = given.policies.map(Files.absolute)
    configuration.runDirectory = Files.absolute(given.runDirectory)
    configuration.bpffs = Files.absolute(given.bpffs)
    for path in configuration.policies { try readable(path) }
    let tree = try cgroups(given.cgroupRoot)
    configuration.cgroupRoot = tree.root
    try Privileges.check(enteringNamespaces: given.enterNamespaces)
    try types()
    try bpffs(configuration.bpffs)
    try ours(configuration.bpffs, "bpffs", "--bpffs")
    return (configuration, tree)
  }

  /// The run directory and what belongs in it.
  static func makeRunDirectory(_ configuration: Configuration) throws(Failure) {
    do {
      try Files.makeDirectory(configuration.runDirectory)
      try Files.makeDirectory(configuration.workloads)
      try Files.makeDirectory("\(configuration.runDirectory)/proxies")
    } catch {
      throw Failure(error, hint: "name a directory that can be made with --run-dir")
    }
    for path in [configuration.runDirectory, configuration.workloads, "\(configuration.runDirectory)/proxies"] {
      try ours(path, "run directory", "--run-dir")
    }
  }

  /// Who can write to such a directory can end enforcement, or say what it is. bpffs is open to all where it was mounted
  /// without a mode, so somebody may have been there first; a sticky bit keeps others from taking names away, not from
  /// being the first to have them.
  private static func ours(_ path: String, _ what: String, _ option: String) throws(Failure) {
    var about = stat()
    guard stat(path, &about) == 0 else { return }
    if about.st_uid != 0 && about.st_uid != geteuid() {
      throw Failure("\(what) \(path): belongs to uid \(about.st_uid); remove it, or name another with \(option)")
    }
    if about.st_mode & 0o022 != 0 {
      throw Failure("\(what) \(path): others can write to it; chmod go-w it, or name another with \(option)")
    }
  }

  private static func readable(_ path: String) throws(Failure) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    if descriptor < 0 {
      throw Failure(
        SystemError("open policies", path), hint: "name a directory that is there with --policies")
    }
    close(descriptor)
    guard let kind = Files.kind(path), kind == S_IFDIR || kind == S_IFREG else {
      throw Failure("policies \(path): is neither a directory nor a file")
    }
  }

  private static func cgroups(_ path: String) throws(Failure) -> CgroupTree {
    let mount: String
    do { mount = try Cgroup.mount() } catch { throw Failure(error) }
    guard let root = Files.resolved(path), Files.isDirectory(root) else {
      throw Failure(
        "cgroup root \(path): is not there; make it (mkdir \(mount)/NAME) or name another with --cgroup-root")
    }
    guard linux_filesystem(root) == CGROUP2_SUPER_MAGIC, root.hasPrefix(mount + "/") else {
      throw Failure(
        "cgroup root \(path): is not a directory below the cgroup2 mount \(mount); make one there")
    }
    return CgroupTree(mount: mount, root: root, own: CgroupTree.own(mount: mount) ?? mount)
  }

  /// Without the kernel's own types the verifier refuses the functions that the programs share, and nothing says what a
  /// tracepoint or an iterator hands over.
  private static func types() throws(Failure) {
    let path = "/sys/kernel/btf/vmlinux"
    if Files.exists(path) { return }
    throw Failure("kernel: no \(path): nothing can be enforced; boot one built with CONFIG_DEBUG_INFO_BTF=y")
  }

  private static func bpffs(_ path: String) throws(Failure) {
    var above = path
    while !Files.exists(above) && above != "/" { above = Files.directory(of: above) }
    if linux_filesystem(above) == BPF_FS_MAGIC { return }
    throw Failure(
      "bpffs \(path): is not on a bpf file system; mount -t bpf bpf /sys/fs/bpf, or name another with --bpffs"
    )
  }
}
