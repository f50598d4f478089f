# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Kills, upgrades and generations as in kills.sh and generations.sh, a fifth of them, with the server in another network
# namespace behind a veth. Sourced by run.

# again PART: that part, with a second namespace for as long as it runs. KILLS and so on are those of this part.
again() {
  # The source of an IPv6 connect() is not known before routing, even when it is bound: the receiver refuses it, in silence.
  across=across ingress_kind=ingress4 more='ipv6=0' agent_options=()
  # To end connections in the other namespace; an agent that does not know the option does it anyway.
  ! "$weir" help agent | grep -q enter-namespaces || agent_options=(--enter-namespaces)
  . "$soak/parts/$1.sh"
  kill "$keeper"
  across='' ingress_kind='' more='' agent_options=() server_in=() server_ends='' client_ends=''
}

all=$scale
scale=$(awk -v s="$scale" 'BEGIN { print s / 5 }')
again kills
end_part
again generations
scale=$all
