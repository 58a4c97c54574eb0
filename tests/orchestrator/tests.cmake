if(TARGET orchestrator)
  sweep_add_test(orchestrator LIBRARIES orchestrator LABELS unit)
  add_dependencies(orchestrator_tests sweep)
endif()
