/// What can be seen in a policy alone, whoever the files know.
extension Finder {
  mutating func written() {
    for rule in policies {
      switch rule.family {
      case .authorization: authorization(rule)
      case .cilium:
        guard case .nodes = evaluator.ciliumPolicies[rule.policy].subject else { continue }
        let policy = policy(rule)
        drafts.append(
          Draft(
            .nodePolicyNotEnforced, [policy],
            "\(policy.text) selects nodes: weir judges workloads, not a node's own processes", .written,
            fix: "keep a host firewall for it"))
      case .network, .admin, .baseline: continue
      }
    }
  }

  private mutating func authorization(_ policy: RuleReference) {
    let written = evaluator.authorizationPolicies[policy.policy]
    if written.dryRun {
      let policy = self.policy(policy)
      drafts.append(
        Draft(
          .dryRun, [policy], "\(policy.text) is a dry run: it reports what it would do and decides nothing",
          .written,
          fix: "take the annotation istio.io/dry-run away when its report is as expected"))
    }
    var told = false
    for (number, one) in written.rules.enumerated() {
      var rule = policy
      rule.rule = number
      if one.asksForTokens {
        explained.insert(rule)
        drafts.append(
          Draft(
            .tokenNeverMatches, [self.policy(rule)],
            "\(text(rule)) asks who a token speaks for, and without a RequestAuthentication no request has "
              + "one",
            .written,
            fix: "ask for principals or namespaces, which come from the workload itself"))
      }
      let sources =
        one.from + one.when.compactMap { if case .source(let source) = $0 { source } else { nil } }
      if !told, sources.contains(where: { !$0.remoteIpBlocks.isEmpty || !$0.notRemoteIpBlocks.isEmpty }) {
        told = true
        drafts.append(
          Draft(
            .remoteIPIsSource, [self.policy(rule)],
            "\(text(rule)) asks for the client's address behind proxies; weir knows no trusted proxy and "
              + "compares the "
              + "connection's source address",
            .written, fix: "where clients come through a proxy, its address is what is compared"))
      }
    }
  }
}
