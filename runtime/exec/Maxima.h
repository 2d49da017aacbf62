//===- Maxima.h - How large the symbols may become --------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A symbol's maximum is the user's, or the model's default, or what the runs
// so far needed. Only the last two grow: by what is asked for, and by half more
// when the same symbol grows again (a cache that gets one entry longer in each
// step).
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_EXEC_MAXIMA_H
#define MOE_RUNTIME_EXEC_MAXIMA_H

#include "runtime/exec/Executable.h"

namespace moe {

class Maxima {
public:
  explicit Maxima(std::shared_ptr<const plan::ProgramT> program);

  /// Errors: Usage for a name that is no input symbol or a negative number.
  Status setExplicit(const std::map<std::string, int64_t> &maxima);
  /// True if every input symbol has the user's or a default maximum.
  bool areAllKnown() const;
  /// True if some of them are defaults.
  bool useDefaults() const;
  /// The user's maxima, defaults for the others.
  std::vector<int64_t> initial() const;

  /// Fails if a value exceeds the user's maximum; names the flag.
  Status check(std::span<const int64_t> values) const;
  /// Maxima that hold `values` and all earlier ones. With `ahead`, symbols that
  /// grow again get room for more.
  std::vector<int64_t> grown(std::span<const int64_t> values,
                             std::span<const int64_t> prepared,
                             bool ahead) const;
  /// Takes note which symbols have grown beyond `prepared`.
  void noteGrowth(std::span<const int64_t> values,
                  std::span<const int64_t> prepared);

private:
  bool isInput(size_t symbol) const {
    return program->symbols[symbol]->kind == plan::SymbolKind_Input;
  }

  std::shared_ptr<const plan::ProgramT> program;
  std::vector<std::optional<int64_t>> given;
  std::vector<bool> hasGrown;
};

} // namespace moe

#endif // MOE_RUNTIME_EXEC_MAXIMA_H
