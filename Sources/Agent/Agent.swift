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
  private let library = Library()
  private let watcher: Watcher
  private let signals: Signals
  private(set) var api: HTTPServer?
  private var scrape: HTTPServer?
  private var settling: (since: UInt64, deadline: EventLoop.Deadline)?
  private var ticks = 0
  /// Open connections that could not be judged again at the last switch, and when that was tried.
  var unsettled: (proxies: Set<UInt32>, at: UInt64)?
  /// When `failure` came about.
  var failedAt: UInt64 = 0
  private var hostsFailed = false
  /// Where the sources were when they were read, and when they were last taken; see `followPlaces`.
  var readPlaces: [String: Place] = [:]
  var lastGoodPlaces: [String: Place] = [:]
  var runDirectoryFailed = false
  private var isTrimDue = false
  private var isSweepDue = false
  private var lastSweep: UInt64 = 0
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
    let metrics = try Listeners.tcp(configuration.metrics)
    let socket: Int32
    do { socket = try Listeners.unix(configuration.socket) } catch {
      close(metrics.descriptor)
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

  /// A reading that was due is done by the one that is made now.
  func cancelSettling() {
    if let settling { loop.cancel(settling.deadline) }
    settling = nil
  }

  /// Every file, and `weir run`'s.
  var sources: [String] { configuration.policies + [configuration.workloads] }

  /// Reads until nothing changed while reading, so that half of a change is never applied.
  func readSources() -> (reading: Reading, gone: [Problem]) {
    for attempt in 1... {
      for error in watcher.arm(sources) { log.warn("not-watched", ["path": error.subject, "error": error]) }
      _ = watcher.drain()
      readPlaces = Agent.places(sources)
      let gone = sources.filter { !Files.exists($0) }
      let reading = library.read(sources.filter { !gone.contains($0) })
      if attempt == 10 || !watcher.drain() {
        var reading = reading
        reading.set.joined = configuration.joined
        return (reading, gone.map { Problem(file: $0, message: "is gone; the last good set stays in force") })
      }
    }
    return (Reading(), [])
  }

  /// A new list of connections' ends is wanted by nobody; the kernel need not report allowed flows then.
  func updateFollowers() {
    do {
      try datapath.set(followers: UInt32(verdicts.followers.count), failOpen: configuration.failOpen)
    } catch {
      log.error("followers-not-set", ["error": Failure(error)])
    }
  }

  /// The status API behind a new socket.
  func listenAgain() throws(Failure) {
    let socket = try Listeners.unix(configuration.socket)
    api?.stop()
    do throws(SystemError) { try serveAPI(socket) } catch {
      close(socket)
      Files.remove(configuration.socket)
      throw Failure(error)
    }
  }

  private func serveAPI(_ socket: Int32) throws(SystemError) {
    api = try HTTPServer(listener: socket, loop: loop, routes: apiRoutes) { [unowned self] in
      strangers.refuse(client: $0, log: log)
    }
    api?.elsewhere = { [unowned self] in enforced($0) }
  }

  private func serve(socket: Int32, metrics: Int32) throws(Failure) {
    do throws(SystemError) {
      try serveAPI(socket)
      scrape = try HTTPServer(listener: metrics, loop: loop, routes: scrapeRoutes)
      try loop.onReadable(signals.descriptor) { [unowned self] in takeSignals() }
      try loop.onReadable(watcher.descriptor) { [unowned self] in if watcher.drain() { settle() } }
      try loop.onReadable(cgroups.descriptor) { [unowned self] in takeCgroups() }
      try loop.onReadable(datapath.eventDescriptor) { [unowned self] in takeEvents() }
    } catch {
      throw Failure(error)
    }
    loop.every(milliseconds: 1000) { [unowned self] in tick() }
  }

  private func takeSignals() {
    while let signal = signals.next() {
      if Int32(bitPattern: signal.ssi_signo) == SIGHUP {
        Notify.reloading()
        reload("SIGHUP")
        Notify.ready()
      } else {
        loop.stop()
      }
    }
  }

  /// After the first change, until 10 ms went by without another, 500 ms at most: editors and `kubectl` write
  /// in steps. A lone rename waits as long: it may be the first of many, and a set with half of them means
  /// something that nobody wrote.
  private func settle() {
    let now = Clock.monotonic()
    let since = settling?.since ?? now
    if let settling { loop.cancel(settling.deadline) }
    let left = 500 - min(500, Int((now - since) / 1_000_000))
    let deadline = loop.after(milliseconds: min(10, left)) { [unowned self] in
      settling = nil
      reload("files", since: since)
    }
    settling = (since, deadline)
  }

  private func takeEvents() {
    do {
      try datapath.drainEvents { [unowned self] event in
        if isProbe(event) { return }
        verdicts.take(event, names: names, log: log)
        if event.endsSomething { sweepSoon() }
      }
    } catch {
      log.error("events-not-read", ["error": Failure(error)])
    }
  }

  /// A packet was refused: perhaps of a connection that was under way at a switch, or older than the programs, and that
  /// would wait for an answer that never comes. Ends those; once a second at most, because it looks at every socket.
  private func sweepSoon() {
    if isSweepDue { return }
    isSweepDue = true
    loop.after(milliseconds: lastSweep + 1_000_000_000 > Clock.monotonic() ? 1000 : 50) { [unowned self] in
      isSweepDue = false
      lastSweep = Clock.monotonic()
      do throws(DatapathError) {
        let ended = try datapath.revoke()
        if ended > 0 { log.info("connections-ended", ["count": ended]) }
      } catch {
        log.error("connections-not-ended", ["error": Failure(error)])
      }
    }
  }

  /// Once a second: cgroups that came or went, clients that hung up, what `weir run` left behind.
  private func tick() {
    ticks += 1
    confineWhenAttached()
    followAttachments()
    followHosts()
    followRunDirectory()
    followPlaces()
    followPresence(unidentified: true)
    noteNamespaces()
    // What the kernel or a proxy would not have may go well later: memory was short, a proxy was busy.
    if failure != nil && Clock.monotonic() >= failedAt + 10_000_000_000 { reload("retry") }
    if let unsettled, Clock.monotonic() >= unsettled.at + 10_000_000_000 {
      _ = settleOpenConnections(keeping: unsettled.proxies)
    }
    verdicts.reportSuppressed(log)
    if !verdicts.followers.isEmpty { api?.dropHungUp() }
    if ticks % Agent.secondsBetweenLooks == 0 { releaseNumbers() }
    if ticks % 5 == 0 {
      tidy()
      for name in RunLeftovers.remove(in: configuration.workloads, root: tree.root) {
        log.info("workload-removed", ["workload": name, "reason": "its runner and its processes are gone"])
      }
    }
  }

  /// What sockets left behind.
  private func tidy() {
    do throws(DatapathError) { try datapath.tidy() } catch {
      log.error("announcements-not-tidied", ["error": Failure(error)])
    }
  }

  /// An address that came is known a second later at the latest; until then it is nobody's.
  private func followHosts() {
    do {
      try datapath.followHosts()
      hostsFailed = false
    } catch {
      if !hostsFailed { log.error("addresses-not-followed", ["error": Failure(error)]) }
      hostsFailed = true
    }
  }
}

extension weir_event {
  /// A refused packet of TCP. A refused connect() has told its caller, and knows no source port yet.
  fileprivate var endsSomething: Bool {
    verdict == UInt8(WEIR_DENIED.rawValue) && audit == 0 && source_port != 0
      && `protocol` == TransportProtocol.tcp.number
  }
}
