import CDatapath
import Datapath
import Glibc
import Policy
import Proxies

/// What the two HTTP servers answer.
extension Agent {
  /// On the Unix socket.
  var apiRoutes: HTTPServer.Routes {
    [
      "/status": ("GET", { [unowned self] in json(200, status()) }),
      "/workloads": ("GET", { [unowned self] in json(200, workloads()) }),
      "/enforced": ("GET", { [unowned self] in json(200, enforced()) }),
      "/flows": ("GET", { [unowned self] in follow() }),
      "/verify": ("POST", { [unowned self] in verifyOnRequest { self.api?.query($0) } }),
      "/reload": (
        "POST",
        { [unowned self] in
          let outcome = reload("request")
          return json(outcome == .rejected || outcome == .failed ? 422 : 200, status())
        }
      ),
    ]
  }

  /// On the metrics address.
  var scrapeRoutes: HTTPServer.Routes {
    [
      "/metrics": ("GET", { [unowned self] in metrics() }),
      // The loop runs, or nobody would answer.
      "/healthz": ("GET", { .text(200, "ok") }),
      "/readyz": ("GET", { [unowned self] in ready() }),
    ]
  }

  func status() -> Status {
    let generation = keptGeneration
    let programs = (try? datapath.programs()) ?? []
    let losses = (try? datapath.losses()) ?? []
    let gaps = findGaps()
    let maps = (try? datapath.maps()) ?? []
    let isCurrent = problems.isEmpty && failure == nil && inForce?.generation == generation
    return Status(
      version: Version.text, layout: WEIR_LAYOUT,
      formerLayouts: datapath.formerLayouts.isEmpty ? nil : datapath.formerLayouts, pid: getpid(),
      started: Clock.timestamp(started),
      generation: generation, since: inForce.map { Clock.timestamp($0.since) },
      inForce: isCurrent && generation > 0 && gaps.allSatisfy(\.runs), audit: configuration.audit,
      cgroupRoot: configuration.cgroupRoot, bpffs: configuration.bpffs, runDir: configuration.runDirectory,
      policies: configuration.policies, files: inForce?.candidate.files ?? 0,
      objects: inForce?.candidate.objects ?? 0, workloads: inForce?.presence.workloads.count ?? 0,
      filesRejected: Set(problems.map(\.file)).count, problems: problems, failure: failure,
      privileges: PrivilegeReport(), namespacesNotEntered: datapath.namespacesNotEntered,
      missing: datapath.missing, programs: programs, gaps: gaps, maps: maps,
      proxies: proxies(),
      losses: Dictionary(uniqueKeysWithValues: losses.enumerated().map { (Metrics.loss($0), $1) }),
      usage: Share.top(5, of: Share.all((try? datapath.usage()) ?? [], maps, names)),
      refusals: verdicts.lastRefusals(names), subtrees: subtrees(), faults: faults(), verify: verifyStatus())
  }

  private func proxies() -> [Status.ProxyStatus] {
    guard let inForce else { return [] }
    return inForce.candidate.set.proxies.values.sorted { $0.name < $1.name }.map { proxy in
      let paths = Envoy.Paths(runDirectory: configuration.runDirectory, proxy: proxy.name)
      let state = ProxyAdmin(path: paths.admin).state(milliseconds: 50)
      let acknowledgement: Acknowledgement
      switch state?.version {
      case _ where state == nil: acknowledgement = .notRunning
      case nil: acknowledgement = (state?.refused ?? 0) > 0 ? .refused : .starting
      case String(inForce.generation): acknowledgement = .acknowledged
      default: acknowledgement = .behind
      }
      return Status.ProxyStatus(
        name: proxy.name.description, cgroup: inForce.candidate.located.proxies[proxy.name] ?? proxy.cgroup,
        present: inForce.presence.proxies[proxy.name] != nil,
        listen: proxy.addresses.map {
          $0.isV4 ? "\(AddressText.of($0)):\(proxy.port)" : "[\(AddressText.of($0))]:\(proxy.port)"
        },
        acknowledgement: acknowledgement, generation: state?.version)
    }
  }

  private func follow() -> HTTPResponse {
    if verdicts.followers.count >= VerdictLog.maximumFollowers {
      return .text(503, "\(VerdictLog.maximumFollowers) follow already")
    }
    var own: Follower?
    let follower = Follower { [unowned self] in
      verdicts.followers.removeAll { $0 === own }
      own = nil
      updateFollowers()
    }
    own = follower
    verdicts.followers.append(follower)
    updateFollowers()
    return .stream(follower)
  }

  private func ready() -> HTTPResponse {
    let generation = keptGeneration
    if generation == 0 { return .text(503, "no generation is in force") }
    if let gap = findGaps().first(where: { !$0.runs }) { return .text(503, "program \(gap.program) \(gap.why)") }
    if let complaint = verifyComplaint { return .text(503, complaint) }
    return .text(200, "generation \(generation) is in force")
  }

  private func metrics() -> HTTPResponse {
    var metrics = Metrics()
    do {
      metrics.connections = try datapath.connections().filter {
        !verifying.isProbe($0.0.source, $0.0.destination)
      }
      metrics.refusals = try datapath.refusals().filter { !verifying.isProbe($0.0.source, $0.0.destination) }
      metrics.losses = try datapath.losses()
      metrics.faults = try datapath.faults()
      metrics.maps = try datapath.maps()
      metrics.shares = Share.all(try datapath.usage(), metrics.maps, names)
      metrics.node.programs = try datapath.programs().count
      metrics.node.gaps = findGaps()
      metrics.node.generation = try datapath.generation()
    } catch {
      return .text(503, Failure(error).description)
    }
    metrics.names = names
    metrics.node.version = Version.text
    metrics.node.layout = UInt32(WEIR_LAYOUT)
    metrics.node.generationTime = inForce.map { Double($0.since) / 1_000_000_000 }
    metrics.node.strangers = strangers.refused
    metrics.node.namespacesNotEntered = datapath.namespacesNotEntered
    metrics.node.objects = objectCounts()
    metrics.node.filesRejected = Set(problems.map(\.file)).count
    for outcome in Outcome.allCases { metrics.node.reloads[outcome.rawValue] = reloads[outcome] ?? 0 }
    if configuration.verify {
      metrics.node.probes = verifying.probes
      metrics.node.lastVerified = verifying.lastSuccess.map { Double($0) / 1_000_000_000 }
    }
    metrics.node.workloads = inForce?.presence.workloads.count ?? 0
    metrics.node.unidentified = sighting.unidentified.count
    (metrics.node.residentBytes, metrics.node.cpuSeconds) = Agent.ownUse()
    return .whole(status: 200, type: "text/plain; version=0.0.4; charset=utf-8", body: metrics.text)
  }

  private func objectCounts() -> [String: Int] {
    let set = inForce?.candidate.set ?? PolicySet()
    let workloads = set.endpoints.values.count(where: \.isWorkload)
    return [
      "Namespace": set.namespaces.count, "Workload": workloads, "Pod": set.endpoints.count - workloads,
      "Proxy": set.proxies.count, "Subtree": set.subtrees.count, "NetworkPolicy": set.networkPolicies.count,
      "AuthorizationPolicy": set.authorizationPolicies.count,
    ]
  }

  /// Resident bytes and processor seconds of this process.
  static func ownUse() -> (UInt64, Double) {
    let memory = String(decoding: (try? Files.read("/proc/self/statm", limit: 4096)) ?? [], as: UTF8.self)
    let pages = memory.split(separator: " ").dropFirst().first.flatMap { UInt64($0) } ?? 0
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1_000_000 }
    return (pages * UInt64(getpagesize()), seconds(usage.ru_utime) + seconds(usage.ru_stime))
  }

  func json(_ status: UInt32, _ value: some Encodable) -> HTTPResponse {
    .whole(status: status, type: "application/json", body: JSON.text(value) + "\n")
  }
}
