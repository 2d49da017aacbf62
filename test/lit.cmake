# The lit tests: every folder below that holds a test becomes one CTest, so that
# labels and the closing summary exist. `ctest -L lit` runs them all.
find_program(MOE_LIT NAMES lit lit-22
             HINTS ${LLVM_TOOLS_BINARY_DIR} ENV PATH REQUIRED)
configure_file(${CMAKE_CURRENT_SOURCE_DIR}/lit.site.cfg.py.in
               ${CMAKE_CURRENT_BINARY_DIR}/lit.site.cfg.py @ONLY)

foreach(suite dialect interp frontend passes pipeline)
  file(GLOB_RECURSE tests CONFIGURE_DEPENDS
    ${CMAKE_CURRENT_SOURCE_DIR}/${suite}/*.mlir
    ${CMAKE_CURRENT_SOURCE_DIR}/${suite}/*.test)
  if(tests)
    add_test(NAME lit-${suite}
             COMMAND ${MOE_LIT} --verbose --filter-out "/Inputs/"
                     ${CMAKE_CURRENT_BINARY_DIR}/${suite})
    set_tests_properties(lit-${suite} PROPERTIES
      LABELS "lit;${suite}" TIMEOUT 600)
  endif()
endforeach()
