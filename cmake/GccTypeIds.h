//===- GccTypeIds.h - Trait identifiers that agree with libMLIR --*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// MLIR identifies a trait by the text of `Trait<Empty>`, where Empty is local
// to TypeID::get. Clang, which libMLIR is built with, writes that as
// "mlir::OpTrait::ConstantLike<Empty>"; GCC adds the function around Empty. So
// libMLIR would see no trait on an operation that GCC compiled, and the other
// way round: folding a constant, for one, would never end. This header, which
// the build includes first, makes GCC use Clang's text.
//
//===----------------------------------------------------------------------===//

#if defined(__GNUC__) && !defined(__clang__)

#include "mlir/Support/TypeID.h"

#include <string>

namespace mlir::detail {

/// True for the placeholder in TypeID::get.
template <typename T> constexpr bool isTraitPlaceholder() {
  return std::string_view(__PRETTY_FUNCTION__).find("::Empty]") !=
         std::string_view::npos;
}

template <template <typename> class Trait, typename T>
class TypeIDResolver<Trait<T>, std::enable_if_t<isTraitPlaceholder<T>()>>
    : public FallbackTypeIDResolver {
public:
  static TypeID resolveTypeID() {
    static const std::string name = clangName();
    static TypeID id = registerImplicitTypeID(name);
    return id;
  }

private:
  static std::string clangName() {
    std::string name = llvm::getTypeName<Trait<T>>().str();
    std::string placeholder = llvm::getTypeName<T>().str();
    if (size_t at = name.rfind(placeholder); at != std::string::npos)
      name.replace(at, placeholder.size(), "Empty");
    return name;
  }
};

} // namespace mlir::detail

#endif
