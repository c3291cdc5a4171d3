import break_it

break_it.slow_down()
