//===- StepWork.h - What a step of a plan has to do -------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The floor of a step is what it cannot do without: weights and activations
// that it reads once, multiplications, messages. How long that takes is a
// matter of the machine (StepTime.h).
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_COST_STEPWORK_H
#define MOE_RUNTIME_COST_STEPWORK_H

#include "runtime/cost/Cluster.h"
#include "runtime/cost/ExpertLoad.h"
#include "runtime/cost/PlanSizes.h"

#include <string_view>
#include <utility>

namespace moe::cost {

/// Messages and bytes that a rank sends.
struct Traffic {
  double messages = 0;
  double bytes = 0;
};

struct StepWork {
  KernelKind kind = KernelKind::Move;
  double flops = 0;
  /// Those of them that are of integers.
  double int8Flops = 0;
  /// Weights that are read.
  double weightBytes = 0;
  /// Other operands and results.
  double activationBytes = 0;
  /// In the unit of `kind`.
  double units = 0;
  bool isCollective = false;
  /// Times that all ranks wait for each other.
  double rounds = 0;
  Traffic inside, across;
  /// Of experts: what the slowest rank has more.
  double flopsFactor = 1, bytesFactor = 1;

  double messages() const { return inside.messages + across.messages; }
  double bytesSent() const { return inside.bytes + across.bytes; }
};

/// Whether ranks wait for each other in a step.
bool isCollective(const plan::StepT &step);

/// How the ranks of a group lie on nodes: `size` ranks, `perNode` on each.
struct GroupShape {
  double size = 1;
  double perNode = 1;

  /// `nodeSize`: ranks of the world on a node; 0: one node.
  static GroupShape of(const Mesh &mesh, plan::Group group, int64_t nodeSize);
  double numNodes() const { return size / perNode; }
};

/// A message to each other rank of the group, or to the part `chance` of them,
/// with `bytes` in all.
void addFlat(StepWork &work, const GroupShape &group, double bytes,
             double chance = 1);
/// The same bytes in two stages: inside nodes, then between equal ranks.
void addHierarchical(StepWork &work, const GroupShape &group, double bytes);

/// Works of all steps.
class PlanWork {
public:
  /// `nodeSize`: ranks of a node; 0: one node. All must outlive it.
  static StatusOr<PlanWork> create(const PlanSizes &sizes, int64_t nodeSize);

  /// Ranks with equal work in every step.
  int numClasses() const { return static_cast<int>(members.size()); }
  int classOf(int rank) const { return classes[rank]; }
  /// A rank of the class, and how many there are.
  int rankOf(int rankClass) const { return members[rankClass].first; }
  int countOf(int rankClass) const { return members[rankClass].second; }

  StepWork work(int rankClass, int step) const;
  /// Whether the step's guard lets it run.
  bool runs(int step) const;
  /// Weight bytes that a rank holds; of these, weights of experts.
  double weightBytes(int rank) const;
  double expertWeightBytes(int rank) const;

private:
  /// What a rank holds of a layer's experts: their number, and the sum of the
  /// parts that slices are.
  struct Held {
    double experts = 0, share = 0;
  };

  PlanWork(const PlanSizes &sizes, int64_t nodeSize)
      : sizes(sizes), program(sizes.program()), nodeSize(nodeSize) {}

  void findHeld();
  Status findLoads();
  std::vector<double> sentRows(int step, int color) const;
  void findClasses();
  const plan::ParamT *paramOf(int buffer) const;
  double heldBytes(int rank, const plan::ParamT &param) const;
  double operandBytes(int rank, const plan::StepT &step) const;
  const RankLoad &loadOf(int rank, int step) const;
  /// How rows travel in an exchange of this shape.
  std::string_view formOf(int step) const;

  /// Multiplications with the weight in an operand.
  void addFlops(StepWork &work, const plan::StepT &step, int buffer,
                double flops) const;
  void addProduct(StepWork &work, int rank, const plan::StepT &step) const;
  void addRouter(StepWork &work, int rank, const plan::StepT &step) const;
  void addFfn(StepWork &work, int rank, const plan::StepT &step) const;
  void addExperts(StepWork &work, int rank, int index) const;
  void addAttention(StepWork &work, int rank, const plan::StepT &step) const;
  void addExchange(StepWork &work, int rank, int index) const;
  void addCollective(StepWork &work, int rank, const plan::StepT &step) const;
  /// What ranks tell each other of a gate whose tokens they divide.
  void addCompetition(StepWork &work, int rank, const plan::StepT &step) const;
  void addMove(StepWork &work, int rank, const plan::StepT &step) const;

  const PlanSizes &sizes;
  const plan::ProgramT &program;
  int64_t nodeSize;
  /// By buffer: its root.
  std::vector<int> roots;
  /// By layer, then place in its group.
  std::vector<std::vector<Held>> held;
  /// By step: the exchange on the way there whose rows it handles, or -1.
  std::vector<int> exchangeOf;
  /// By exchange step, then rank; and by layer for experts without exchange.
  std::map<int, std::vector<RankLoad>> loads;
  std::vector<int> classes;
  std::vector<std::pair<int, int>> members;
};

} // namespace moe::cost

#endif // MOE_RUNTIME_COST_STEPWORK_H
