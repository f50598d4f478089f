import CDatapath
import CLinux
import Datapath
import Glibc
import Policy

/// Keeps the kernel and the proxies equal to the files, and tells what happens. Everything runs on the thread
/// of `run`.
public final class Agent {
  let configuration: Configuration
  let tree: CgroupTree
  let log: Log
  let loop: EventLoop
  let datapath: Datapath
  let started = Clock.wall()

  /// What the numbers in the kernel mean; only grows.
  var numbers: Numbers
  /// Keeps what a change of policy does not touch.
  var compiler = Compiler()
  let numbersFile: NumbersFile
  /// The names that the last look found unused.
  var unusedLately: [Numbers.Table: Set<String>] = [:]
  var names: Names
  /// The set this agent put in force; nil while it has put none (an older one may be in force from the pins).
  var inForce: InForce?
  /// What was wrong with the last reading; not empty while an older set is in force.
  var problems: [Problem] = []
  /// Why the last set, though right, could not be put in force.
  var failure: String?
  var reloads: [Outcome: UInt64] = [:]
  var verdicts = VerdictLog()
  var verifying = Verifying()
  /// What the last look found, so that it is said once.
  var gaps: [Gap] = []
  /// Why what somebody took off could not be put back.
  var mendingFailed: Failure?
  /// It ends for that reason, to be started again.
  var beginsAgain = false

  /// Of the last set without a misplaced cgroup, by its inventory's stamp and its Subtrees.
  var lastLocated: (stamp: UInt64, subtrees: [String: Subtree], located: CgroupTree.Located)?
  var sighting = Sighting()
  let cgroups: CgroupWatch
  /// What each file said when it was read last.
  let library = Library()
  let watcher: Watcher
  let signals: Signals
  var api: HTTPServer?
  var scrape: HTTPServer?
  var settling: (since: UInt64, deadline: EventLoop.Deadline)?
  var ticks = 0
  /// Open connections that could not be judged again at the last switch, and when that was tried.
  var unsettled: (proxies: Set<UInt32>, at: UInt64)?
  /// When `failure` came about.
  var failedAt: UInt64 = 0
  var hostsFailed = false
  /// Where the sources were when they were read, and when they were last taken; see `followPlaces`.
  var readPlaces: [String: Place] = [:]
  var lastGoodPlaces: [String: Place] = [:]
  var runDirectoryFailed = false
  private var isTrimDue = false
  var isSweepDue = false
  var lastSweep: UInt64 = 0
  /// What it costs not to enter other network namespaces has been said.
  var namespacesNoted = false
  var isConfined = false
  /// Why it could not give up what it does not need, and ends.
  var notConfined: Failure?
  /// Asked for something by somebody who is neither root nor the agent's user.
  let strangers = Strangers()

  /// Checks everything, listens, and loads or adopts the programs. Nothing is judged by new rules yet.
  public init(_ given: Configuration) throws(Failure) {
    let began = Clock.monotonic()
    Files.openStandard()
    log = Log()
    // Before anything is given up: it needs a network namespace of its own.
    let canary = given.verify ? try? CanaryChild() : nil
    (configuration, tree) = try Preflight.check(given)
    do throws(SystemError) {
      signal(SIGPIPE, SIG_IGN)
      loop = try EventLoop()
      signals = try Signals([SIGHUP, SIGTERM, SIGINT])
      watcher = try Watcher()
      cgroups = try CgroupWatch()
    } catch {
      throw Failure(error)
    }
    try Preflight.makeRunDirectory(configuration)
    numbersFile = NumbersFile(path: configuration.numbers)
    let known = try numbersFile.load()
    // The socket first: a second agent is told that there is one, and not of a busy port.
    let socket = try Listeners.unix(configuration.socket)
    let metrics: (descriptor: Int32, address: String)
    do { metrics = try Listeners.tcp(configuration.metrics) } catch {
      close(socket)
      Files.remove(configuration.socket)
      throw error
    }
    do {
      datapath = try Datapath(
        directory: configuration.bpffs, cgroupRoot: configuration.cgroupRoot, failOpen: configuration.failOpen)
    } catch {
      close(metrics.descriptor)
      close(socket)
      Files.remove(configuration.socket)
      throw Failure(error)
    }
    numbers = known ?? Numbers()
    names = Names(numbers)
    startVerifying(canary)
    try serve(socket: socket, metrics: metrics.descriptor)
    log.info(
      "started",
      [
        "version": Version.text, "layout": WEIR_LAYOUT, "pid": getpid(),
        "cgroup_root": configuration.cgroupRoot,
        "bpffs": configuration.bpffs, "run_dir": configuration.runDirectory, "metrics": metrics.address,
        "audit": configuration.audit, "took_ms": (Clock.monotonic() - began) / 1_000_000,
      ])
    for what in datapath.missing { log.warn("kernel-lacks", ["what": what]) }
    if !datapath.formerLayouts.isEmpty {
      log.info(
        "layout-pending",
        [
          "from": Agent.text(datapath.formerLayouts), "generation": keptGeneration,
          "enforcement": "stays with the former programs until the first generation",
        ])
    }
    if known == nil, let generation = try? datapath.generation(), generation > 0 {
      log.warn("numbers-lost", ["file": configuration.numbers, "generation": generation])
    }
  }

  /// Puts the files in force and keeps them so, with no more privileges than that needs; returns on SIGTERM or SIGINT.
  /// What is in force stays.
  public func run() throws(Failure) {
    defer { Files.remove(configuration.socket) }
    confineWhenAttached()
    reload("start")
    confineWhenAttached()
    if notConfined == nil {
      Notify.ready()
      loop.run()
    }
    Notify.stopping()
    stopVerifying()
    if let notConfined { throw notConfined }
    if beginsAgain, let mendingFailed {
      throw Failure("ends to be started again, for a running agent cannot put a program back: \(mendingFailed)")
    }
    log.info(
      "stopped",
      [
        "enforcement": "stays", "bpffs": configuration.bpffs,
        "remove": "weir detach --bpffs \(configuration.bpffs)",
      ])
    api?.stop()
    scrape?.stop()
  }

  /// A second after a switch: what reading and compiling freed goes back to the kernel. Not at once, for the next
  /// change may be on its way, and would ask for it again.
  func trimSoon() {
    if isTrimDue { return }
    isTrimDue = true
    loop.after(milliseconds: 1000) { [unowned self] in
      isTrimDue = false
      malloc_trim(0)
    }
  }

  func fail(_ error: Failure) {
    failure = error.description
    failedAt = Clock.monotonic()
  }
}
